"""Provide the commands of the training."""
