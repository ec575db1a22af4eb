"""Build the data set of recordings that are not music, and evaluate models on it."""
