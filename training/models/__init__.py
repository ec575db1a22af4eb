"""Define and train networks."""
