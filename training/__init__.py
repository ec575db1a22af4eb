"""From labelled music to a trained, judged Keras network. Never needed on a phone."""

import os

# Before anything here imports TensorFlow: it greets on stderr with what it found.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
