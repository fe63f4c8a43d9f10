"""Policy optimisers ("generators") and the collection of their experience."""
