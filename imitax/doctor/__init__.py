"""What this machine can do, and what hinders it."""
