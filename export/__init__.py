"""Convert trained networks to TFLite files, and check the files against the networks."""
