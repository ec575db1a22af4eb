"""What the page says held against what the Python package says of the same files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketgenre.classifier import Classifier
from pocketgenre.models.pretrained import PRETRAINED
from pocketgenre.vote import majority_vote


@dataclass(frozen=True)
class Parity:
    """How far page and package agree.

    Attributes
    ----------
    songs, same_songs : how many; with the same label
    segments, same_segments : the same of segments
    differences : largest difference of a probability, of each segment
    """

    songs: int
    same_songs: int
    segments: int
    same_segments: int
    differences: np.ndarray

    def __str__(self) -> str:
        d = self.differences
        return (
            f"songs {self.same_songs}/{self.songs}, segments {self.same_segments}/{self.segments}, "
            f"probabilities: mean {d.mean():.1e}, 99 % within {np.quantile(d, 0.99):.4f}, "
            f"all within {d.max():.4f}"
        )


def compare(heard: dict[str, dict[str, Any]], files: dict[str, Path], model: str) -> Parity:
    """Compare what a page's database holds with ``scan-library``'s classifier.

    Parameters
    ----------
    heard : the page's songs by the page's path
    files : the file of each of these paths
    """
    classifier = Classifier.load(PRETRAINED[model])
    labels = classifier.card.labels
    same_songs = segments = same_segments = 0
    differences: list[np.ndarray] = []
    for path, file in files.items():
        ours = np.array(heard[path]["probabilities"]).reshape(-1, len(labels))
        theirs = classifier.segment_probabilities(file)
        same_songs += majority_vote(ours, labels).genre == majority_vote(theirs, labels).genre
        common = min(len(ours), len(theirs))  # a decoder may give a few samples more at the end
        assert abs(len(ours) - len(theirs)) <= 1, f"{path}: {len(ours)} and {len(theirs)} segments"
        ours, theirs = ours[:common], theirs[:common]
        segments += common
        same_segments += int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
        differences.append(np.abs(ours - theirs).max(axis=1))
    return Parity(len(files), same_songs, segments, same_segments, np.concatenate(differences))
