"""Run jobs in supervised worker processes."""
