"""Measure speed as ratios: each figure and its baseline are measured in the same run."""
