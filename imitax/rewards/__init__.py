"""Reward models: what the agent is rewarded with."""
