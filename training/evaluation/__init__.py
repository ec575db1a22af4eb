"""Evaluate trained networks and compare runs."""
