"""Find songs with a probably wrong label by confident learning.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels"
(Journal of Artificial Intelligence Research, 2021). A song confidently belongs to a genre if its
probability of that genre is at least the mean over the songs with that label.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.metrics import predict_songs
from pocketgenre.training.evaluation.run_evaluation import (
    load_heldout,
    require_distinct_runs,
    require_song_split,
)
from pocketgenre.training.runs import Run

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_COLUMNS = (
    *("song", "label", "suggested", "label_probability", "suggested_probability", "margin"),
    *("share_of_segments", "runs_agreeing", "runs"),
)

NO_SUGGESTION = -1
"""Stored in place of a genre's index for songs without a suggested genre."""


@dataclass(frozen=True)
class LabelIssue:
    """A song with a probably wrong label.

    Attributes
    ----------
    song, label : name and genre of the song in the data set
    suggested : suggested genre
    label_probability, suggested_probability : means over the song's segments and the runs
    vote_share : share of the segments that vote for ``suggested``, mean over the runs
    runs_agreeing : number of runs that predict ``suggested`` for the song
    runs : number of runs with predictions for the song
    """

    song: str
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float
    vote_share: float
    runs_agreeing: int
    runs: int

    @property
    def margin(self) -> float:
        """Probability of the suggested genre minus probability of the label."""
        return self.suggested_probability - self.label_probability


@dataclass(frozen=True)
class LabelIssues:
    """Label issues of a data set, largest margin first.

    Attributes
    ----------
    issues : sorted by margin
    runs : number of runs
    songs : number of songs with predictions
    accuracy : share of these songs with the correct prediction, mean over the runs
    accuracy_without_issues : the same share without the songs in ``issues``; None if no song
        remains
    """

    issues: tuple[LabelIssue, ...]
    runs: int
    songs: int
    accuracy: float
    accuracy_without_issues: float | None


@dataclass(frozen=True)
class _SongPredictions:
    """Predictions of all runs, each [shape=(songs, genres)]; 0 for songs without predictions.

    Attributes
    ----------
    probabilities : means over segments and runs
    vote_shares : share of the segments' votes, mean over the runs
    run_counts : number of runs that predict the genre
    """

    probabilities: FloatArray
    vote_shares: FloatArray
    run_counts: IntArray


def find_label_issues(runs: Sequence[Run], dataset: Dataset) -> LabelIssues:
    """Find label issues from held-out predictions.

    Parameters
    ----------
    runs : runs with the protocol ``songs`` on this data set, best with several seeds
    dataset : data set that the runs were trained on

    Raises
    ------
    DataError
        if a run is named twice, was not split by song, or was trained on another data set.
    """
    require_distinct_runs(runs)
    for run in runs:
        require_song_split(run)
        if run.dataset.resolve() != dataset.folder.resolve():
            raise DataError(
                f"{run.folder} was trained on {run.dataset}, not on {dataset.folder};"
                " name runs of one data set."
            )
    predictions = _predict(runs, dataset)
    runs_per_song = predictions.run_counts.sum(axis=1)
    evaluated = np.flatnonzero(runs_per_song)
    targets = dataset.song_targets
    suggested = np.full(len(targets), NO_SUGGESTION)
    suggested[evaluated] = suggest_labels(targets[evaluated], predictions.probabilities[evaluated])
    issues = [
        _label_issue(dataset, predictions, int(song), int(suggested[song]))
        for song in np.flatnonzero(suggested != NO_SUGGESTION)
    ]
    correct_runs = predictions.run_counts[np.arange(len(targets)), targets]
    others = evaluated[suggested[evaluated] == NO_SUGGESTION]
    return LabelIssues(
        issues=tuple(sorted(issues, key=lambda issue: (-issue.margin, issue.song))),
        runs=len(runs),
        songs=len(evaluated),
        accuracy=float(correct_runs.sum() / runs_per_song.sum()),
        accuracy_without_issues=float(correct_runs[others].sum() / runs_per_song[others].sum())
        if len(others)
        else None,
    )


def suggest_labels(labels: IntArray, probabilities: FloatArray) -> IntArray:
    """Suggest another genre for each song that confidently belongs to it.

    Parameters
    ----------
    labels : int64 [shape=(songs,)], label of each song
    probabilities : float [shape=(songs, genres)], predicted by networks not trained on the song

    Returns
    -------
    int64 [shape=(songs,)]
        the most probable of the genres that reach their threshold, which is the mean probability
        of the genre over the songs with that label. :data:`NO_SUGGESTION` if no genre reaches
        its threshold, if this genre is the label, or if the label is the most probable genre.
    """
    genres = probabilities.shape[1]
    thresholds = np.full(genres, np.inf)  # a genre without songs is never suggested
    for genre in np.unique(labels):
        thresholds[genre] = probabilities[labels == genre, genre].mean()
    confident = np.where(probabilities >= thresholds, probabilities, -np.inf)
    best = confident.argmax(axis=1)
    is_issue = np.isfinite(confident.max(axis=1)) & (best != labels)
    # As in cleanlab, by the same authors. Otherwise a rare genre with a low threshold would be
    # suggested for songs whose label is clearly the most probable genre.
    is_issue &= probabilities.argmax(axis=1) != labels
    return np.where(is_issue, best, NO_SUGGESTION)


def label_issues_csv(issues: Sequence[LabelIssue]) -> bytes:
    """Return the label issues as CSV, one row per song, for ``train-model --leave-out``."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for issue in issues:
        shares = (issue.label_probability, issue.suggested_probability, issue.margin)
        writer.writerow(
            [issue.song, issue.label, issue.suggested]
            + [f"{share:.4f}" for share in (*shares, issue.vote_share)]
            + [issue.runs_agreeing, issue.runs]
        )
    return text.getvalue().encode("utf-8", "surrogateescape")


def _predict(runs: Sequence[Run], dataset: Dataset) -> _SongPredictions:
    shape = (len(dataset.songs), len(dataset.labels))
    probabilities, vote_shares = np.zeros(shape), np.zeros(shape)
    run_counts = np.zeros(shape, np.int64)
    for run in runs:
        heldout = load_heldout(run, dataset)
        segments = np.concatenate([part.segments for part in heldout])
        table = np.concatenate([part.probabilities for part in heldout])
        for song, prediction in predict_songs(dataset, segments, table).items():
            probabilities[song] += [prediction.probabilities[label] for label in dataset.labels]
            votes = np.array([prediction.votes[label] for label in dataset.labels])
            vote_shares[song] += votes / prediction.segments
            run_counts[song, dataset.labels.index(prediction.genre)] += 1
    runs_per_song = np.maximum(run_counts.sum(axis=1, keepdims=True), 1)
    return _SongPredictions(probabilities / runs_per_song, vote_shares / runs_per_song, run_counts)


def _label_issue(
    dataset: Dataset, predictions: _SongPredictions, song: int, suggested: int
) -> LabelIssue:
    label = int(dataset.song_targets[song])
    return LabelIssue(
        song=dataset.songs[song].name,
        label=dataset.labels[label],
        suggested=dataset.labels[suggested],
        label_probability=float(predictions.probabilities[song, label]),
        suggested_probability=float(predictions.probabilities[song, suggested]),
        vote_share=float(predictions.vote_shares[song, suggested]),
        runs_agreeing=int(predictions.run_counts[song, suggested]),
        runs=int(predictions.run_counts[song].sum()),
    )
