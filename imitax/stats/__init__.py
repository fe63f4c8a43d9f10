"""Estimates, figures, panels and units. Never imports JAX."""
