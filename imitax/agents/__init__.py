"""Agents: what improves the policy ("generators")."""
