"""Methods: compositions of reward models and agents."""
