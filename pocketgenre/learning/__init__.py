"""Learn genres of your own from a few songs: a new last layer on the features of a model."""
