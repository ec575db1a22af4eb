"""Read and describe run folders, the output of ``train-model``.

::

    RUN/
        run.json        configuration, data set, labels, feature parameters, normalisation, versions
        recipe.toml     options for train-model --recipe
        model.keras     final network
        history.json    loss and accuracy of the final network by epoch
        logs/           TensorBoard logs, with --tensorboard
        metrics.json    metrics on held-out songs
        heldout.npz     predictions that metrics.json is computed from
        fold-1/ ...     network and history of each fold, with --folds

A run is built as ``RUN.unfinished`` and renamed when it is complete.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import ModelError
from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.augmentation import RESIDUAL_AUGMENTATION, Augmentation
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.data.not_music import with_not_music_label
from pocketgenre.training.errors import DataError

RUN_FORMAT = 1

History = dict[str, list[float]]
"""Losses and metrics by epoch, as in ``history.json``."""


@dataclass(frozen=True)
class TrainingConfig:
    """Options of ``train-model``.

    Attributes
    ----------
    model : name of a trainer of :mod:`pocketgenre.training.models.trainers`
    protocol : a key of :data:`pocketgenre.training.data.splits.PROTOCOLS`
    folds : parts of the cross-validation, after which the final network is trained on all songs;
        0 for a single split
    validation : share of the data set to evaluate on, without folds
    epochs : number of epochs
    batch_size : segments in a batch
    learning_rate : learning rate of the optimizer
    early_stopping : epochs without a lower validation loss after which training stops and the
        best epoch is restored, 0 to train all epochs. The validation loss is computed on a
        held-out eighth of the training songs.
    seed : seed of weights, order, dropout and split
    balance_genres : True to weight genres equally, regardless of their number of segments
    pretrained : folder of the unpacked package musicnn, for the trainer of that name
    members : number of ensemble members, for the trainer residual
    leave_out : names of songs to evaluate on but not to train on
    not_music : folder of the data set with which the label ``not-music`` is trained; empty to train
        without this label
    max_segments : number of segments of a song to train on, spread over the song; 0 for all
    augmentation : random changes of the training segments
    """

    model: str = "cnn"
    protocol: str = "songs"
    folds: int = 0
    validation: float = 0.2
    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 1e-4
    early_stopping: int = 0
    seed: int = 1
    balance_genres: bool = True
    pretrained: str = "data/musicnn"
    members: int = 1
    leave_out: tuple[str, ...] = ()
    not_music: str = ""
    max_segments: int = 20
    augmentation: Augmentation = field(default_factory=Augmentation)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read the JSON form; options that older versions lack get their default."""
        augmentation = Augmentation()
        if stored := values.get("augmentation"):
            augmentation = Augmentation(**stored)
        elif values.get("model") == "residual":  # older versions always augmented it
            augmentation = RESIDUAL_AUGMENTATION
        left_out = tuple(values.get("leave_out", ()))
        return cls(**{**values, "leave_out": left_out, "augmentation": augmentation})


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    folder : run folder
    config : options of the training
    dataset : folder of the data set
    labels : genres in the order of the network's outputs
    feature_config : feature parameters
    normalization : mean and variance of each coefficient, as in the network
    versions : version of each package, by name
    command : command line of the training
    dataset_sha256 : digest of the data set; empty in runs of older versions
    not_music_sha256 : digest of the data set ``config.not_music``; empty without one
    """

    folder: Path
    config: TrainingConfig
    dataset: Path
    labels: tuple[str, ...]
    feature_config: FeatureConfig
    normalization: dict[str, list[float]]
    versions: dict[str, str]
    command: str
    dataset_sha256: str = ""
    not_music_sha256: str = ""

    def to_json(self) -> str:
        """Return the content of ``run.json``."""
        values = {"format": RUN_FORMAT, **asdict(self)}
        del values["folder"]
        values["feature_config"] = self.feature_config.to_dict()
        values = {"front_end" if key == "feature_config" else key: values[key] for key in values}
        values["dataset"] = str(self.dataset)
        return json.dumps(values, indent=2) + "\n"

    def is_of(self, dataset: Dataset) -> bool:
        """Check whether the run was trained on a data set, even if its folder has moved."""
        if self.dataset_sha256:
            return self.dataset_sha256 == dataset.digest
        return self.dataset == dataset.folder.resolve()

    def open_dataset(self, folder: Path | None = None) -> Dataset:
        """Open a data set with the labels of the run.

        Parameters
        ----------
        folder : data set; None for the one that the run was trained on

        Raises
        ------
        DataError
            if the folder is missing or not a data set, or the data set is damaged.
        """
        if folder is None and not self.dataset.is_dir():
            raise DataError(
                f"The data set of {self.folder} is not at {self.dataset}; if it has moved, name its"
                " folder with --dataset."
            )
        dataset = load_dataset(folder or self.dataset)
        return with_not_music_label(dataset) if self.config.not_music else dataset

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a finished run.

        Raises
        ------
        DataError
            if the folder is not a finished run, or is damaged.
        """
        try:
            values = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            if values.pop("format") != RUN_FORMAT:
                raise DataError(f"{folder} is a run of another version; train it again.")
            values["config"] = TrainingConfig.from_dict(values["config"])
            values["feature_config"] = FeatureConfig.from_dict(values.pop("front_end"))
            values["labels"] = tuple(values["labels"])
            values["dataset"] = Path(values["dataset"])
            run = cls(folder=folder, **values)
        except FileNotFoundError as error:
            raise DataError(
                f"{folder} is not a finished run (no run.json); create one with train-model."
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ModelError) as error:
            raise DataError(f"The run {folder} is damaged: {error}; train it again.") from error
        if not (folder / "model.keras").is_file():
            raise DataError(f"The run {folder} has no model.keras; train it again.")
        return run

    def metrics(self) -> dict[str, Any]:
        """Read ``metrics.json``.

        Raises
        ------
        DataError
            if the file is missing or damaged.
        """
        try:
            metrics: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder}/metrics.json is damaged: {error}; train it again."
            ) from error
        return metrics

    def heldout(self) -> list["HeldOutPredictions"]:
        """Read the held-out predictions of each fold, or of the only network.

        Raises
        ------
        DataError
            if the predictions are missing or damaged.
        """
        try:
            with np.load(self.folder / "heldout.npz", allow_pickle=False) as arrays:
                fold, segments = arrays["fold"], arrays["segment"]
                probabilities = arrays["probabilities"]
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise DataError(f"{self.folder} is damaged: {error}; train it again.") from error
        parts = []
        for number in np.unique(fold):
            model = "model.keras" if not self.config.folds else f"fold-{number}/model.keras"
            of_fold = fold == number
            parts.append(
                HeldOutPredictions(self.folder / model, segments[of_fold], probabilities[of_fold])
            )
        return parts


@dataclass(frozen=True)
class HeldOutPredictions:
    """Predictions of one network on the segments held out from its training.

    Attributes
    ----------
    model : ``.keras`` file of the network
    segments : positions in the data set, int64 [shape=(n,)]
    probabilities : genre probabilities, float32 [shape=(n, genres)]
    """

    model: Path
    segments: NDArray[np.int64]
    probabilities: NDArray[np.float32]
