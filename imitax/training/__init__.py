"""Training in memory: no disk, no screen."""
