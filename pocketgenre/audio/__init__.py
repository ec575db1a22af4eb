"""Decode songs to mono samples, and cut them into segments."""
