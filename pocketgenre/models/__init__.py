"""Hold the pretrained models, and load and run TFLite files."""
