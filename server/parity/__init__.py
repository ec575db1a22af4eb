"""Compare the features of a device with the reference, and explain differences."""
