"""What the published work reports for the same networks, to set beside our own figures."""

PUBLISHED_VALIDATION_ACCURACY: dict[str, float] = {
    "ann": 0.6198,
    "ann-regularized": 0.6800,
    "cnn": 0.7397,
    "lstm": 0.6660,
}
"""By the name of the network: share of the validation segments that were called rightly."""

PUBLISHED_CONDITIONS = (
    "published validation accuracy: all of GTZAN, split by segment, so that parts of a song"
    " stand on both sides; to be set beside the segment accuracy of a run with"
    " --protocol segments, and of no other"
)
"""How the published figures came about, said wherever they are shown."""
