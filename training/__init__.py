"""Train and evaluate Keras networks on labelled music; not needed on the device."""

import os

# Set before TensorFlow is imported: it prints start-up messages to stderr.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
