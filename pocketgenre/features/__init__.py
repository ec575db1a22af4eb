"""Compute the features of audio segments in NumPy."""
