"""Read labelled songs, and prepare, store, split and batch data sets."""
