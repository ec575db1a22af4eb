"""Register the trainers of ``train-model --model``.

Add a trainer with a module that defines ``fit(context)`` and one entry in :data:`BUILT_IN`. A
package outside the project registers its :class:`Trainer` as an entry point of the group
``pocketgenre.trainers``. Importing this module doesn't import TensorFlow.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketgenre.errors import PocketGenreError
from pocketgenre.features.config import LOG_MEL_CONFIG, FeatureConfig
from pocketgenre.plugins import load_object
from pocketgenre.training.augmentation import RESIDUAL_AUGMENTATION, option_name
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.errors import DataError
from pocketgenre.training.runs import History, Run, TrainingConfig

if TYPE_CHECKING:
    import keras

    from pocketgenre.training.data.splits import Split
    from pocketgenre.training.models.strategy import Placement

ENTRY_POINT_GROUP = "pocketgenre.trainers"
RESIDUAL = "residual"

UNSPECIFIED_LICENCE = "LicenseRef-unspecified"
"""SPDX identifier of weights whose owner has named no licence."""


_SPEED = option_name("speed")  # needs the spectra of whole songs
_MIXUP = option_name("mixup")


@dataclass(frozen=True)
class TrainingContext:
    """Input of a trainer's ``fit``: one network to train.

    Attributes
    ----------
    config : options of the run
    dataset : features and genres
    split : segments to train on and, for the loss after each epoch, to validate on
    placement : devices and hosts to train on
    checkpoints : folder with the checkpoints of interrupted training, which may be empty
    scratch : folder for new checkpoints; the same folder except in workers other than the first
    on_epoch : callback that gets the history after each epoch
    not_music : data set with which the label ``not-music`` is trained, which is then the last of
        the labels; None without this label
    """

    config: TrainingConfig
    dataset: Dataset
    split: "Split"
    placement: "Placement"
    checkpoints: Path
    scratch: Path
    on_epoch: Callable[[History], None]
    not_music: Dataset | None = None


Fit = Callable[[TrainingContext], tuple["keras.Model", History]]
"""Function that trains a network, and returns it with its losses and metrics by epoch.

The network takes features, float32 [shape=(n, frames, coefficients)], starts with a
``Normalization`` layer named "standardize" and ends in a softmax over the data set's labels.
"""


@dataclass(frozen=True)
class Trainer:
    """A network and its training procedure.

    Attributes
    ----------
    name : value of ``--model``
    description : line that ``--list`` prints
    fit : dotted name "module:function" of a :data:`Fit`
    feature_kind : kind of features that the network needs; None for any
    feature_config : feature parameters that the network needs; None for any
    min_shape : smallest segment that the layers can take, (frames, coefficients)
    defaults : default values of the options
    unused_options : options without effect on this trainer, refused by ``train-model``;
        ``augmentation.NAME`` for a change of the segments
    licence : SPDX identifier of the pretrained weights that training starts from, or None
    is_published : True for a network of the published comparison, which ``--model all`` trains
    """

    name: str
    description: str
    fit: str
    feature_kind: str | None = None
    feature_config: FeatureConfig | None = None
    min_shape: tuple[int, int] = (1, 1)
    defaults: TrainingConfig = field(default_factory=TrainingConfig)
    unused_options: tuple[str, ...] = ("members", "pretrained", "not_music", _SPEED)
    licence: str | None = None
    is_published: bool = False

    def load_fit(self) -> Fit:
        """Import the function that trains, and with it TensorFlow."""
        fit: Fit = load_object(self.fit)
        return fit

    def check_features(self, dataset: Dataset) -> None:
        """Check that the network can be trained on a data set's features.

        Raises
        ------
        DataError
            if kind, parameters or shape of the features don't fit.
        """
        config = dataset.feature_config
        if self.feature_kind not in (None, config.kind):
            raise DataError(
                f"{self.name} needs {self.feature_kind} features, but {dataset.folder} holds"
                f" {config.kind}; prepare a data set with --features {self.feature_kind}."
            )
        if self.feature_config is not None:
            found, needed = config.to_dict(), self.feature_config.to_dict()
            differences = [
                f"{name} is {found.get(name)}, not {needed[name]}"
                for name in needed
                if found.get(name) != needed[name]
            ]
            if differences:
                raise DataError(
                    f"The features of {dataset.folder} don't fit {self.name}:"
                    f" {', '.join(differences)}; prepare the data set again."
                )
        shape = tuple(config.shape)
        if any(size < least for size, least in zip(shape, self.min_shape, strict=True)):
            frames, coefficients = self.min_shape
            raise DataError(
                f"{self.name} needs segments of at least {frames} frames and {coefficients}"
                f" coefficients; those of {dataset.folder} have {shape[0]} and {shape[1]}."
            )


_FIT_PUBLISHED = "pocketgenre.training.models.keras_trainer:fit_published"

BUILT_IN = (
    Trainer(
        "ann",
        "Three hidden layers on the flattened features.",
        _FIT_PUBLISHED,
        is_published=True,
    ),
    Trainer(
        "ann-regularized",
        "The same with L2 1e-4 on each hidden layer and dropout 0.3 after each.",
        _FIT_PUBLISHED,
        is_published=True,
    ),
    Trainer(
        "cnn",
        "Three convolutions over time and coefficients.",
        _FIT_PUBLISHED,
        min_shape=(11, 11),
        is_published=True,
    ),
    Trainer("lstm", "Two LSTM layers over time.", _FIT_PUBLISHED, is_published=True),
    Trainer(
        "musicnn",
        "A linear classifier on the features of the pretrained musicnn.",
        "pocketgenre.training.models.musicnn.linear_head:fit_musicnn",
        feature_kind="log-mel",
        feature_config=LOG_MEL_CONFIG,
        unused_options=(
            *("epochs", "batch_size", "learning_rate", "early_stopping", "balance_genres"),
            *("members", "strategy", _SPEED, _MIXUP),
        ),
        licence="ISC",
    ),
    Trainer(
        RESIDUAL,
        "Residual convolutions over time, trained on augmented music.",
        "pocketgenre.training.models.residual.trainer:fit_residual",
        feature_kind="mfcc",
        min_shape=(22, 1),
        defaults=TrainingConfig(
            batch_size=100,
            learning_rate=2e-3,
            max_segments=0,
            augmentation=RESIDUAL_AUGMENTATION,
        ),
        unused_options=(
            "early_stopping",
            "balance_genres",
            "max_segments",  # songs are drawn with equal probability, whatever their length
            "pretrained",
            "strategy",
        ),
    ),
)
"""Trainers of this project, in the order of ``--list``."""


def list_trainers() -> list[Trainer]:
    """Return all trainers: the built-in ones, then those of other packages by name.

    Raises
    ------
    PocketGenreError
        if the trainer of another package can't be imported.
    """
    names = {trainer.name for trainer in BUILT_IN}
    entries = sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name)
    return [*BUILT_IN, *(_load(entry) for entry in entries if entry.name not in names)]


def find_trainer(name: str) -> Trainer:
    """Return the trainer of a name. A built-in trainer can't be replaced.

    Raises
    ------
    PocketGenreError
        if there is no trainer of that name, or it can't be imported.
    """
    for trainer in BUILT_IN:
        if trainer.name == name:
            return trainer
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return _load(entry)
    raise PocketGenreError(
        f"There is no trainer {name!r}; choose one of {', '.join(trainer_names())}."
    )


def trainer_names() -> list[str]:
    """Return the names of all trainers, without importing those of other packages."""
    names = [trainer.name for trainer in BUILT_IN]
    others = {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return names + sorted(others - set(names))


def licence_of(run: Run, own: str | None = None) -> str:
    """Return the SPDX expression for the weights of a run.

    Parameters
    ----------
    run : trained run
    own : SPDX expression that the owner of the run has chosen; None if unspecified

    Returns
    -------
    ``own`` and the licence of the pretrained weights that training started from.

    Raises
    ------
    PocketGenreError
        if the run's trainer is not installed.
    """
    own = own or UNSPECIFIED_LICENCE
    pretrained = find_trainer(run.config.model).licence
    if not pretrained:
        return own
    return f"({own}) AND {pretrained}" if " " in own else f"{own} AND {pretrained}"


def _load(entry: EntryPoint) -> Trainer:
    try:
        loaded: Any = entry.load()
    except (ImportError, AttributeError) as error:
        raise PocketGenreError(
            f"The trainer {entry.name!r} ({entry.value}) can't be imported: {error}."
        ) from error
    if not isinstance(loaded, Trainer) or loaded.name != entry.name:
        raise PocketGenreError(
            f"The entry point {entry.name!r} of {ENTRY_POINT_GROUP} is not a Trainer of that name."
        )
    return loaded
