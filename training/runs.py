"""A run folder: everything that a training leaves behind.

::

    RUN/
        run.json        configuration, data set, labels, front end, normalisation, versions
        model.keras     the network that is kept
        history.json    its loss and accuracy by epoch
        logs/           for TensorBoard, if asked for
        metrics.json    what it is worth on songs that it was not trained on
        heldout.npz     the predictions that metrics.json is computed from
        fold-1/ ...     with --folds: the network and history of each fold

It is built as ``RUN.unfinished`` and renamed when all is there.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import ModelError
from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError

RUN_FORMAT = 1


@dataclass(frozen=True)
class TrainingConfig:
    """What a training is asked to do.

    Attributes
    ----------
    model : a key of :data:`pocketgenre.training.models.networks.NETWORKS`, ``musicnn`` or ``residual``
    protocol : a key of :data:`pocketgenre.training.data.splits.PROTOCOLS`
    folds : 0 for one split, else the number of parts of a cross-validation, after which
        the network that is kept is trained on everything
    validation : share that is judged on, where folds is 0
    epochs, batch_size, learning_rate : of Adam
    early_stopping : epochs without a lower loss on an eighth of the training data, held
        back for it, after which to stop and go back to the best; 0: never
    seed : of weights, order, dropout and split
    balance_genres : weight each genre alike however many segments it has
    pretrained : folder of the unpacked package musicnn, for the model of that name
    members : of residual: how many networks are trained and kept as one
    leave_out : names of songs that are judged, but not learned from
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

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """As read from JSON, which knows no tuples; what an older version lacks is default."""
        return cls(**{**values, "leave_out": tuple(values.get("leave_out", ()))})


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    folder : where it stands
    config : what was asked
    dataset : folder of the data set
    dataset_sha256 : its digest; empty in runs of older versions
    labels : genres in the order of the outputs
    feature_config : what the features were computed with
    normalization : mean and variance of each coefficient, as in the network
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

    def to_json(self) -> str:
        """The content of ``run.json``."""
        values = {"format": RUN_FORMAT, **asdict(self)}
        del values["folder"]
        values["feature_config"] = self.feature_config.to_dict()
        values = {"front_end" if key == "feature_config" else key: values[key] for key in values}
        values["dataset"] = str(self.dataset)
        return json.dumps(values, indent=2) + "\n"

    def is_of(self, dataset: Dataset) -> bool:
        """Whether it has learned from this data set, wherever that stands now."""
        if self.dataset_sha256:
            return self.dataset_sha256 == dataset.digest
        return self.dataset == dataset.folder.resolve()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a finished run.

        Raises
        ------
        DataError
            it is not one.
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
                f"{folder} is not a finished run (no run.json); train-model makes one."
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ModelError) as error:
            raise DataError(f"The run {folder} is damaged: {error}; train it again.") from error
        if not (folder / "model.keras").is_file():
            raise DataError(f"The run {folder} has no model.keras; train it again.")
        return run

    def metrics(self) -> dict[str, Any]:
        """The content of ``metrics.json``.

        Raises
        ------
        DataError
            it is missing or damaged.
        """
        try:
            metrics: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder}/metrics.json is damaged: {error}; train it again."
            ) from error
        return metrics

    def heldout(self) -> list["HeldOutPredictions"]:
        """Each fold's model and the segments it was judged on; one where there are no folds.

        Raises
        ------
        DataError
            the predictions are missing or damaged.
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
            mine = fold == number
            parts.append(
                HeldOutPredictions(self.folder / model, segments[mine], probabilities[mine])
            )
        return parts


@dataclass(frozen=True)
class HeldOutPredictions:
    """What one trained network said of segments that it was not trained on.

    Attributes
    ----------
    model : the ``.keras`` file
    segments : int64 [shape=(n,)], positions in the data set
    probabilities : float32 [shape=(n, genres)]
    """

    model: Path
    segments: NDArray[np.int64]
    probabilities: NDArray[np.float32]
