"""Songs whose label the networks doubt, by confident learning.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels"
(Journal of Artificial Intelligence Research, 2021). A genre counts as meant where its
probability is at least as high as it is, on average, for the songs that bear its label.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.evaluation.evaluation import heldout_of, require_unheard_songs
from pocketgenre.training.evaluation.evaluation_page import markdown_table
from pocketgenre.training.runs import Run
from pocketgenre.vote import majority_vote

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_COLUMNS = (
    *("song", "label", "suggested", "label_probability", "suggested_probability", "margin"),
    *("share_of_segments", "runs_agreeing", "runs"),
)

NOBODY = -1
"""In place of a genre: none is suggested."""


@dataclass(frozen=True)
class Suspect:
    """A song that may bear the wrong label, and what speaks for that.

    Attributes
    ----------
    song, label : its name and genre
    suggested : the genre that the networks hear
    label_probability, suggested_probability : means over the song's segments and the runs
    share : of the segments that vote for ``suggested``, mean over the runs
    runs_agreeing, runs : in how many of the runs that judged it the vote says ``suggested``
    """

    song: str
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float
    share: float
    runs_agreeing: int
    runs: int

    @property
    def margin(self) -> float:
        """How much more probable the suggestion is than the label."""
        return self.suggested_probability - self.label_probability


@dataclass(frozen=True)
class LabelIssues:
    """The suspects, the surest first, and what they are among.

    Attributes
    ----------
    suspects : sorted by margin
    runs : how many were asked
    songs : how many were judged
    accuracy : share of them that is right by vote, mean over the runs
    accuracy_of_rest : the same of those that are not suspected; None where none is left
    """

    suspects: tuple[Suspect, ...]
    runs: int
    songs: int
    accuracy: float
    accuracy_of_rest: float | None


@dataclass(frozen=True)
class _Opinions:
    """What runs say together of each song, [shape=(songs, genres)] each; zeros of one not judged.

    Attributes
    ----------
    probabilities : means over segments and runs
    shares : of the segments' votes, means over the runs
    votes : number of runs that call the song so
    """

    probabilities: FloatArray
    shares: FloatArray
    votes: IntArray


def find_mislabelled(runs: Sequence[Run], dataset: Dataset) -> LabelIssues:
    """Ask the networks that a song was not learned by whether its label is right.

    Parameters
    ----------
    runs : by the protocol ``songs``, all of this data set; best of several seeds
    dataset : the one that they were trained on

    Raises
    ------
    DataError
        a run is named twice, has heard what it judges, or is not of this data set.
    """
    folders = [run.folder.resolve() for run in runs]
    if len(set(folders)) < len(folders):
        raise DataError("A run is named twice; name each once.")
    for run in runs:
        require_unheard_songs(run)
        if run.dataset.resolve() != dataset.folder.resolve():
            raise DataError(
                f"{run.folder} was trained on {run.dataset}, not on {dataset.folder};"
                " name runs of one data set."
            )
    opinions = _opinions(runs, dataset)
    judged_by = opinions.votes.sum(axis=1)
    judged = np.flatnonzero(judged_by)
    targets = dataset.song_targets
    suggested = np.full(len(targets), NOBODY)
    suggested[judged] = suggest_labels(targets[judged], opinions.probabilities[judged])
    suspects = [
        _suspect(dataset, opinions, int(song), int(suggested[song]))
        for song in np.flatnonzero(suggested != NOBODY)
    ]
    right = opinions.votes[np.arange(len(targets)), targets]
    rest = judged[suggested[judged] == NOBODY]
    return LabelIssues(
        suspects=tuple(sorted(suspects, key=lambda suspect: (-suspect.margin, suspect.song))),
        runs=len(runs),
        songs=len(judged),
        accuracy=float(right.sum() / judged_by.sum()),
        accuracy_of_rest=float(right[rest].sum() / judged_by[rest].sum()) if len(rest) else None,
    )


def suggest_labels(labels: IntArray, probabilities: FloatArray) -> IntArray:
    """Which other genre each song confidently belongs to, or :data:`NOBODY`.

    Parameters
    ----------
    labels : int64 [shape=(songs,)], each song's label
    probabilities : float [shape=(songs, genres)], of networks that have not learned the song

    Returns
    -------
    int64 [shape=(songs,)]
        the most probable of the genres that reach their threshold, the mean probability of the
        genre over the songs labelled so; NOBODY where none does, or where it is the label, or
        where the label is the most probable genre of all.
    """
    genres = probabilities.shape[1]
    thresholds = np.full(genres, np.inf)  # a genre without songs is suggested for none
    for genre in np.unique(labels):
        thresholds[genre] = probabilities[labels == genre, genre].mean()
    confident = np.where(probabilities >= thresholds, probabilities, -np.inf)
    best = confident.argmax(axis=1)
    doubted = np.isfinite(confident.max(axis=1)) & (best != labels)
    # As in the authors' own cleanlab: or else a rare genre with a low threshold would be
    # suggested for songs that are plainly called what their label says.
    doubted &= probabilities.argmax(axis=1) != labels
    return np.where(doubted, best, NOBODY)


def suspects_table(suspects: Sequence[Suspect]) -> str:
    """The suspects as a table to read."""
    columns = ["song", "label", "suggested", "P(label)", "P(suggested)", "segments", "runs"]
    rows = [
        [
            suspect.song,
            suspect.label,
            suspect.suggested,
            f"{suspect.label_probability:.1%}",
            f"{suspect.suggested_probability:.1%}",
            f"{suspect.share:.0%}",
            f"{suspect.runs_agreeing} of {suspect.runs}",
        ]
        for suspect in suspects
    ]
    return markdown_table(columns, rows, text_columns=3)


def suspects_csv(suspects: Sequence[Suspect]) -> bytes:
    """The suspects as data, one a row; ``train-model --leave-out`` takes it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for suspect in suspects:
        shares = (suspect.label_probability, suspect.suggested_probability, suspect.margin)
        writer.writerow(
            [suspect.song, suspect.label, suspect.suggested]
            + [f"{share:.4f}" for share in (*shares, suspect.share)]
            + [suspect.runs_agreeing, suspect.runs]
        )
    return text.getvalue().encode("utf-8", "surrogateescape")


def _opinions(runs: Sequence[Run], dataset: Dataset) -> _Opinions:
    shape = (len(dataset.songs), len(dataset.labels))
    probabilities, shares = np.zeros(shape), np.zeros(shape)
    votes = np.zeros(shape, np.int64)
    for run in runs:
        parts = heldout_of(run, dataset)
        owners = dataset.segment_songs[np.concatenate([part.segments for part in parts])]
        said = np.concatenate([part.probabilities for part in parts])
        for song in np.unique(owners):
            vote = majority_vote(said[owners == song], dataset.labels)
            probabilities[song] += [vote.probabilities[label] for label in dataset.labels]
            shares[song] += [vote.votes[label] / vote.segments for label in dataset.labels]
            votes[song, dataset.labels.index(vote.genre)] += 1
    asked = np.maximum(votes.sum(axis=1, keepdims=True), 1)
    return _Opinions(probabilities / asked, shares / asked, votes)


def _suspect(dataset: Dataset, opinions: _Opinions, song: int, suggested: int) -> Suspect:
    label = int(dataset.song_targets[song])
    return Suspect(
        song=dataset.songs[song].name,
        label=dataset.labels[label],
        suggested=dataset.labels[suggested],
        label_probability=float(opinions.probabilities[song, label]),
        suggested_probability=float(opinions.probabilities[song, suggested]),
        share=float(opinions.shares[song, suggested]),
        runs_agreeing=int(opinions.votes[song, suggested]),
        runs=int(opinions.votes[song].sum()),
    )
