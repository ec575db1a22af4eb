"""The front end's parameters: the one place where each number and its unit stand.

Two kinds of features are computed from the same mel bands: MFCC, librosa's, or the logarithm
of the bands themselves, nearly as musicnn's.

Training, export, the phone and the server all read them from here (or from a
model card that was written from here); nobody repeats them.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from pocketgenre.errors import ModelError

_OF_ONE_KIND = {"mfcc": ("n_mfcc", "top_db"), "log-mel": ("level",)}
"""Parameters that only one kind of features has."""


@dataclass(frozen=True)
class FeatureConfig:
    """From mono audio to the features of one segment, as librosa 0.11 defines each step.

    Attributes
    ----------
    sample_rate : samples per second (Hz)
    segment_samples : length of one segment, in samples
    n_fft : length of one frame and of its FFT, in samples; a power of two
    hop_length : distance between the starts of two frames, in samples; divides ``n_fft / 2``
    n_mels : number of Slaney mel bands between 0 Hz and ``sample_rate / 2``
    n_mfcc : of MFCC: number of cepstral coefficients kept, from c0 on
    amin : smallest mel power that is told from silence; of log-mel, a segment's mean
    top_db : of MFCC: dynamic range kept below the segment's loudest mel band, in dB
    level : of log-mel: mean that the mel power of a segment is brought to before log10(1 + x),
        so that a song sounds the same however loud its file is
    features : ``mfcc`` or ``log-mel``
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
    features: Literal["mfcc", "log-mel"] = "mfcc"

    def __post_init__(self) -> None:
        if self.features not in ("mfcc", "log-mel"):
            raise ModelError(f"A front end's features are mfcc or log-mel, not {self.features!r}.")
        for field in fields(self)[:-1]:
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, field.type):  # type: ignore[arg-type]
                raise ModelError(f"The front end's {field.name} must be a number, not {value!r}.")
            if not 0 < value < 10_000_000:
                raise ModelError(f"The front end's {field.name} is out of range: {value!r}.")
        if (
            self.n_mfcc > self.n_mels
            or self.n_fft < 16
            or self.n_fft.bit_count() != 1
            or (self.n_fft // 2) % self.hop_length
        ):
            raise ModelError(
                "The front end needs n_mfcc <= n_mels, a power of two as n_fft"
                " and a hop_length that divides n_fft / 2."
            )

    @property
    def segment_seconds(self) -> float:
        """Length of one segment in seconds."""
        return self.segment_samples / self.sample_rate

    @property
    def n_frames(self) -> int:
        """Frames of one segment, its ends padded by half a frame (librosa's ``center=True``)."""
        return 1 + self.segment_samples // self.hop_length

    @property
    def n_coefficients(self) -> int:
        """Features of one frame: cepstral coefficients or mel bands."""
        return self.n_mfcc if self.features == "mfcc" else self.n_mels

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one segment's features: (frames, coefficients)."""
        return (self.n_frames, self.n_coefficients)

    def to_dict(self) -> dict[str, Any]:
        """The parameters as JSON types; only those that the kind of features has."""
        others = {name for kind in _OF_ONE_KIND for name in _OF_ONE_KIND[kind]}
        others -= set(_OF_ONE_KIND[self.features])
        return {name: value for name, value in asdict(self).items() if name not in others}

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ModelError
            a parameter is missing, unknown or out of range.
        """
        if not isinstance(values, dict):
            raise ModelError(f"A front end is a table of parameters, not {values!r}.")
        values = {"features": "mfcc", **values}  # there was nothing else at first
        kind = FEATURE_CONFIGS.get(str(values["features"]), MFCC_CONFIG)
        names = set(kind.to_dict())
        if set(values) != names:
            raise ModelError(
                f"A front end has exactly these parameters: {', '.join(sorted(names))}."
            )
        return cls(**values)


MFCC_CONFIG = FeatureConfig()
"""GTZAN's published setting: 13 MFCC, 130 frames for each 3 s segment."""

LOG_MEL_CONFIG = FeatureConfig(
    sample_rate=16_000,
    segment_samples=48_000,
    n_fft=512,
    hop_length=256,
    n_mels=96,
    amin=1e-5,
    features="log-mel",
)
"""musicnn's setting: 96 mel bands up to 8 kHz, 188 frames for each 3 s segment.

musicnn takes log10(1 + 10,000 * mel power), so that what it hears depends on the volume. Here
all segments have that of the median segment of GTZAN; only those more than 45 dB quieter stay
quieter, since they hold little but noise.
"""

FEATURE_CONFIGS = {"mfcc": MFCC_CONFIG, "log-mel": LOG_MEL_CONFIG}
"""By the name that ``prepare-dataset --features`` takes."""
