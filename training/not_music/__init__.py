"""Build the data set of recordings that are no music, and evaluate models on it."""
