"""Configure feature extraction: every parameter with its unit, and the kinds of features.

Training, export, inference and the server read the parameters from here, or from a model card
that was written from here. Built-in kinds are MFCC (:mod:`pocketgenre.features.mfcc`) and
log-mel bands (:mod:`pocketgenre.features.log_mel`). Another distribution adds a kind with one
entry point in the group ``pocketgenre.feature_kinds`` that loads a :class:`FeatureKind`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import ModelError
from pocketgenre.plugins import load_object

FloatArray = NDArray[np.float32]
Compute = Callable[[FloatArray, "FeatureConfig"], FloatArray]
"""From samples [shape=(n,)] to features [shape=(1 + n // hop_length, coefficients)]."""

ENTRY_POINTS = "pocketgenre.feature_kinds"

_BUILT_IN = {
    "mfcc": "pocketgenre.features.mfcc:MFCC",
    "log-mel": "pocketgenre.features.log_mel:LOG_MEL",
}
_COMMON_PARAMETERS = ("sample_rate", "segment_samples", "n_fft", "hop_length", "n_mels", "amin")


@dataclass(frozen=True)
class FeatureConfig:
    """Parameters of feature extraction, each step as librosa 0.11 defines it.

    Attributes
    ----------
    sample_rate : samples per second [Hz]
    segment_samples : length of one segment [samples]
    n_fft : length of one frame and of its FFT [samples]; a power of two
    hop_length : distance between the starts of two frames [samples]; divides ``n_fft / 2``
    n_mels : number of Slaney mel bands between 0 Hz and ``sample_rate / 2``
    n_mfcc : number of cepstral coefficients, from c0 on (MFCC only)
    amin : smallest mel power before the logarithm (for log-mel, of a segment's mean)
    top_db : dynamic range below the loudest mel band of the segment [dB] (MFCC only)
    level : mean mel power to which a segment is scaled before log10(1 + x) (log-mel only), so
        that the features do not depend on the volume of the file
    kind : name of a :class:`FeatureKind`

    Raises
    ------
    ModelError
        if a parameter is out of range. Rules of one kind are checked by
        :meth:`FeatureKind.configure` and :meth:`from_dict`.
    """

    sample_rate: int = 22_050
    segment_samples: int = 66_150
    n_fft: int = 2_048
    hop_length: int = 512
    n_mels: int = 128
    n_mfcc: int = 13
    amin: float = 1e-10
    top_db: float = 80.0
    level: float = 3_000.0
    kind: str = "mfcc"

    def __post_init__(self) -> None:
        for field in fields(self)[:-1]:
            value = getattr(self, field.name)
            # JSON has no difference between 3000 and 3000.0.
            types = (int, float) if field.type is float else (int,)
            if isinstance(value, bool) or not isinstance(value, types):
                raise ModelError(
                    f"The feature parameter {field.name} must be a number, not {value!r}."
                )
            if not 0 < value < 10_000_000:
                raise ModelError(f"The feature parameter {field.name} is out of range: {value!r}.")
        if self.n_fft < 16 or self.n_fft.bit_count() != 1 or (self.n_fft // 2) % self.hop_length:
            raise ModelError(
                "Feature extraction needs a power of two as n_fft and a hop_length that divides"
                " n_fft / 2."
            )

    @property
    def segment_seconds(self) -> float:
        """Length of one segment [s]."""
        return self.segment_samples / self.sample_rate

    @property
    def n_frames(self) -> int:
        """Frames of one segment, padded by half a frame at both ends (``center=True``)."""
        return 1 + self.segment_samples // self.hop_length

    @property
    def n_coefficients(self) -> int:
        """Features of one frame: cepstral coefficients or mel bands."""
        return feature_kind(self.kind).n_coefficients(self)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one segment's features: (frames, coefficients)."""
        return (self.n_frames, self.n_coefficients)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters that this kind of features has, as JSON types."""
        values = asdict(self)
        parameters = feature_kind(self.kind).parameters
        stored = {name: values[name] for name in values if name in parameters}
        return {**stored, "features": self.kind}

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Read what :meth:`to_dict` returned.

        Raises
        ------
        ModelError
            if a parameter is missing, unknown or out of range.
        """
        if not isinstance(values, dict):
            raise ModelError(f"A feature configuration is a JSON object, not {values!r}.")
        # The first cards name no kind, since there was only MFCC.
        kind = feature_kind(str(values.get("features", "mfcc")))
        parameters = {name: value for name, value in values.items() if name != "features"}
        if set(parameters) != set(kind.parameters):
            names = ", ".join(sorted(kind.parameters))
            raise ModelError(f"The feature configuration of {kind.name} has exactly: {names}.")
        config = cls(**parameters, kind=kind.name)
        kind.check(config)
        return config


MFCC_CONFIG = FeatureConfig()
"""Published parameters of GTZAN: 13 MFCC, 130 frames for each 3 s segment."""

LOG_MEL_CONFIG = FeatureConfig(
    sample_rate=16_000,
    segment_samples=48_000,
    n_fft=512,
    hop_length=256,
    n_mels=96,
    amin=1e-5,
    kind="log-mel",
)
"""Parameters of musicnn: 96 mel bands up to 8 kHz, 188 frames for each 3 s segment.

musicnn computes log10(1 + 10,000 * mel power), which depends on the volume of the file. Here each
segment is scaled to the level of the median segment of GTZAN. Segments more than 45 dB below that
level stay quieter, since they contain little but noise.
"""


@dataclass(frozen=True)
class FeatureKind:
    """A kind of features: its parameters, and how each part of the project computes it.

    Attributes
    ----------
    name : value of ``prepare-dataset --features``
    default : default parameters
    compute : NumPy computation, used on the device
    reference : dotted name (``module:function``) of the reference computation for training,
        with the signature of ``compute``; it may need librosa
    graph : dotted name of the function that appends the computation to a Keras graph, for
        models whose input is the waveform; None if the kind has none
    own_parameters : fields of :class:`FeatureConfig` that only this kind has
    check : raises ModelError if a configuration breaks a rule of this kind
    n_coefficients : number of features per frame
    tolerance : (relative, absolute) tolerance between ``compute`` and ``reference``
    """

    name: str
    default: FeatureConfig
    compute: Compute
    reference: str
    graph: str | None = None
    own_parameters: tuple[str, ...] = ()
    check: Callable[[FeatureConfig], None] = lambda _: None
    n_coefficients: Callable[[FeatureConfig], int] = lambda config: config.n_mels
    tolerance: tuple[float, float] = (1e-5, 1e-3)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Fields of :class:`FeatureConfig` that this kind has."""
        return (*_COMMON_PARAMETERS, *self.own_parameters)

    def configure(self, **parameters: Any) -> FeatureConfig:
        """Replace parameters of the default configuration.

        Raises
        ------
        ModelError
            if this kind does not have a parameter, or its value is out of range.
        """
        for name in parameters:
            if name not in self.parameters:
                raise ModelError(f"The features {self.name} have no parameter {name}.")
        config = replace(self.default, **parameters)
        self.check(config)
        return config

    def load_reference(self) -> Compute:
        """Import the reference computation."""
        compute: Compute = load_object(self.reference)
        return compute

    def load_graph(self) -> Callable[..., Any]:
        """Import the function that builds the computation into a Keras graph.

        Raises
        ------
        ModelError
            if the kind has none.
        """
        if self.graph is None:
            raise ModelError(f"The features {self.name} cannot be computed inside a model.")
        build: Callable[..., Any] = load_object(self.graph)
        return build


@cache
def feature_kind(name: str) -> FeatureKind:
    """Return a kind of features by its name.

    Raises
    ------
    ModelError
        if no kind of that name is built in or installed.
    """
    if name in _BUILT_IN:
        kind: FeatureKind = load_object(_BUILT_IN[name])
        return kind
    for entry in _installed_kinds():
        if entry.name == name:
            loaded: FeatureKind = entry.load()
            return loaded
    raise ModelError(f"The features must be one of {', '.join(feature_kind_names())}, not {name}.")


def feature_kind_names() -> list[str]:
    """List the names of all kinds of features, built-in ones first."""
    return list(dict.fromkeys([*_BUILT_IN, *(entry.name for entry in _installed_kinds())]))


def _installed_kinds() -> Any:
    from importlib.metadata import entry_points  # takes 20 ms, needed for unknown names only

    return entry_points(group=ENTRY_POINTS)
