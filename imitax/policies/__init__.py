"""Trained policies: how they act, their files, their export."""
