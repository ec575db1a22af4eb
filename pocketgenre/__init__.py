"""Classify the genre of songs on this device."""

__version__ = "0.1.0"
