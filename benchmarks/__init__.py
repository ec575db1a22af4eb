"""Speed as ratios: each figure against something run beside it, in one run."""
