"""Plot data sets, trainings and evaluations, readable without colour."""
