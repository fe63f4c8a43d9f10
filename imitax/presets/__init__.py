"""Tuned and published settings as TOML; each file says where its values come from."""
