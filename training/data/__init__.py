"""Read labelled songs, and prepare and split data sets."""
