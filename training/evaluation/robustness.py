"""Judge a run on its songs' audio as phones have it: compressed, narrow, quiet, cut short."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pocketgenre.cli.console import printable
from pocketgenre.errors import AudioError
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.librosa_features import (
    FloatArray,
    librosa_features,
    song_samples,
    split_into_segments,
)
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.evaluation.evaluation import heldout_of, require_unheard_songs
from pocketgenre.training.evaluation.evaluation_page import markdown_table
from pocketgenre.training.evaluation.figures import figures_of
from pocketgenre.training.evaluation.perturbations import CONDITIONS, Condition
from pocketgenre.training.models.checkpoints import load_network
from pocketgenre.training.runs import HeldOutPredictions, Run
from pocketgenre.vote import majority_vote

_JUDGED_TOGETHER = 32  # segments; a wide network on 256 would take 8 GB


@dataclass(frozen=True)
class ConditionFigures:
    """How good a run is on songs changed in one way; shares in [0, 1].

    Attributes
    ----------
    condition, meaning : of :class:`pocketgenre.training.evaluation.perturbations.Condition`
    segments : how many were judged
    song_accuracy : by vote
    song_mean_recall : mean over the genres of the songs' recall
    segment_accuracy : of the segments alone
    called_alike : share of the songs that are called what they are called as they are
    """

    condition: str
    meaning: str
    segments: int
    song_accuracy: float
    song_mean_recall: float
    segment_accuracy: float
    called_alike: float


@dataclass(frozen=True)
class Robustness:
    """A run's figures under each condition, all by the same networks on the same songs."""

    run: str
    model: str
    seed: int
    folds: int
    protocol: str
    songs: int
    conditions: tuple[ConditionFigures, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"format": 1, "protocol_meaning": PROTOCOLS[self.protocol], **asdict(self)}


def judge_robustness(
    run: Run,
    dataset: Dataset,
    on_song: Callable[[], None] = lambda: None,
    conditions: Sequence[Condition] = CONDITIONS,
) -> Robustness:
    """Judge each song, changed in each way, by the network that was not trained on it.

    One song is in memory at a time.

    Parameters
    ----------
    run : whose networks judge
    dataset : the one that it was trained on; its audio must be where it was
    on_song : called after each song, for a progress bar
    conditions : in what ways songs are changed; the first is compared with

    Raises
    ------
    DataError
        the run has no songs that it hasn't heard, the data set or its audio is not what it was
        trained on, or a network can't be read.
    """
    require_unheard_songs(run)
    parts = heldout_of(run, dataset)
    if not dataset.audio.is_dir():
        raise DataError(
            f"The audio of {dataset.folder} is not at {dataset.audio} any more; robustness is"
            " judged on audio."
        )
    songs: list[int] = []
    said: list[list[FloatArray]] = []
    for part in parts:
        network = load_network(part.model)
        for song in _judged_songs(dataset, part):
            said.append(_ask_about(network, dataset, song, conditions))
            songs.append(song)
            on_song()
    truth = dataset.song_targets[songs]
    by_condition = list(zip(*said, strict=True))
    called = [_votes(tables, dataset.labels) for tables in by_condition]
    return Robustness(
        run=run.folder.resolve().name,
        model=run.config.model,
        seed=run.config.seed,
        folds=run.config.folds,
        protocol=run.config.protocol,
        songs=len(songs),
        conditions=tuple(
            _figures(condition, tables, truth, votes, called[0], dataset.labels)
            for condition, tables, votes in zip(conditions, by_condition, called, strict=True)
        ),
    )


def robustness_page(robustness: Robustness) -> str:
    """The content of ``robustness.md``, which is printed too."""
    networks = (
        f"{robustness.folds} folds' networks, each" if robustness.folds else "the network kept,"
    )
    rows = [
        [
            figures.condition,
            figures.meaning,
            f"{figures.song_accuracy:.1%}",
            f"{figures.song_mean_recall:.1%}",
            str(figures.segments),
            f"{figures.segment_accuracy:.1%}",
            f"{figures.called_alike:.1%}",
        ]
        for figures in robustness.conditions
    ]
    columns = ["condition", "what was done", "songs right", "mean recall"]
    columns += ["segments", "segments right", "called alike"]
    return "\n".join(
        [
            f"# Robustness of {printable(robustness.run)}",
            "",
            f"Network `{robustness.model}`, seed {robustness.seed}. Judged on {robustness.songs}"
            f" songs: {networks} on those that it was not trained on"
            f" ({PROTOCOLS[robustness.protocol]}).",
            "",
            markdown_table(columns, rows, text_columns=2),
            "",
            "Songs are called by vote; called alike: share of the songs that are called what they"
            " are called as they are, rightly or wrongly.",
            "",
        ]
    )


def _judged_songs(dataset: Dataset, part: HeldOutPredictions) -> list[int]:
    return [int(song) for song in np.unique(dataset.segment_songs[part.segments])]


def _ask_about(
    network: keras.Model, dataset: Dataset, song: int, conditions: Sequence[Condition]
) -> list[FloatArray]:
    """Probabilities of a song's segments under each condition, (segments, genres) each."""
    rate = dataset.feature_config.sample_rate
    name, path = dataset.songs[song].name, dataset.audio / dataset.songs[song].path
    try:
        samples = song_samples(path, dataset.feature_config)
    except AudioError as error:
        raise DataError(
            f"The audio of {name} is no longer what {dataset.folder} was made from: {error}."
        ) from error
    if len(split_into_segments(samples, dataset.feature_config)) != dataset.segment_counts[song]:
        raise DataError(
            f"The audio of {name} ({path}) has changed since {dataset.folder} was made from it;"
            " prepare it again and train again."
        )
    answers: list[FloatArray] = []
    for condition in conditions:
        changed = condition.change(samples, rate)
        if answers and np.array_equal(changed, samples):  # a clip has no more than its beginning
            answers.append(answers[0])
        else:
            answers.append(
                _ask(network, split_into_segments(changed, dataset.feature_config), dataset)
            )
    return answers


def _ask(network: keras.Model, segments: FloatArray, dataset: Dataset) -> FloatArray:
    answers = []
    for start in range(0, len(segments), _JUDGED_TOGETHER):
        batch = segments[start : start + _JUDGED_TOGETHER]
        features = np.stack(
            [librosa_features(segment, dataset.feature_config) for segment in batch]
        )
        answers.append(network.predict_on_batch(features))
    return np.concatenate(answers)


def _votes(tables: Sequence[FloatArray], labels: Sequence[str]) -> NDArray[np.int64]:
    genres = [majority_vote(table, labels).genre for table in tables]
    return np.array([labels.index(genre) for genre in genres], dtype=np.int64)


def _figures(
    condition: Condition,
    tables: Sequence[FloatArray],
    truth: NDArray[np.int64],
    called: NDArray[np.int64],
    called_before: NDArray[np.int64],
    labels: Sequence[str],
) -> ConditionFigures:
    by_song = figures_of(truth, called, labels)
    of_segments = np.repeat(truth, [len(table) for table in tables])
    right = np.concatenate(tables).argmax(axis=1) == of_segments
    return ConditionFigures(
        condition=condition.name,
        meaning=condition.meaning,
        segments=len(of_segments),
        song_accuracy=by_song.accuracy,
        song_mean_recall=by_song.mean_recall,
        segment_accuracy=float(right.mean()),
        called_alike=float((called == called_before).mean()),
    )
