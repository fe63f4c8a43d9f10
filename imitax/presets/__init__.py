"""Tuned and published settings as TOML, with the source of their values in each file."""
