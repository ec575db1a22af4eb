"""Train and evaluate Keras networks on labelled music; not needed on the device."""
