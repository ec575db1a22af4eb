"""Provide the commands for training and evaluation."""
