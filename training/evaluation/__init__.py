"""Evaluate trained networks."""
