"""Estimates, figures and units. Never imports JAX."""
