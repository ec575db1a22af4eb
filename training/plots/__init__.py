"""Plot data sets, training curves, evaluations and comparisons in black and white."""
