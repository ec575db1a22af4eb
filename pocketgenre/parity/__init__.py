"""Compare features computed on a device with the reference, and find the cause of differences."""
