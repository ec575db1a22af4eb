"""From a trained run to a TFLite file that is checked against it."""
