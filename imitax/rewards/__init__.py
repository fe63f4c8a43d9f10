"""Reward models: what the agent is paid with."""
