"""Configure the random changes of segments that a network is trained on."""

from dataclasses import dataclass, fields

from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.errors import DataError

TABLE = "augmentation"
"""Name of the table in a recipe."""

_LARGEST = {
    "speed": 0.5,
    "gain": 24.0,
    "equalizer": 24.0,
    "band_limit": 1.0,
    "noise": 1.0,
    "time_mask": 10_000,
    "coefficient_mask": 10_000,
    "mixup": 10.0,
}


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training segments; 0 turns a change off.

    Attributes
    ----------
    speed : largest relative change of the playback speed, and with it of the pitch
    gain : standard deviation of the volume [dB]
    equalizer : standard deviation of the level at each of six knots of a smooth curve [dB]
    band_limit : share of the segments whose highest bands are attenuated
    noise : share of the segments with noise, 35 to 75 dB below the loudest band
    time_mask : largest number of successive frames that are overwritten with the mean
    coefficient_mask : largest number of successive coefficients that are overwritten with the mean
    mixup : parameter of the beta distribution of the shares of two mixed segments

    Raises
    ------
    DataError
        if a value is out of range.
    """

    speed: float = 0.0
    gain: float = 0.0
    equalizer: float = 0.0
    band_limit: float = 0.0
    noise: float = 0.0
    time_mask: int = 0
    coefficient_mask: int = 0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, largest = getattr(self, field.name), _LARGEST[field.name]
            is_whole = field.type is int
            types = (int,) if is_whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, types) or not 0 <= value <= largest:
                number = "a whole number" if is_whole else "a number"
                raise DataError(
                    f"{option_name(field.name)} must be {number} from 0 to {largest:,},"
                    f" not {value!r}."
                )

    @property
    def is_on(self) -> bool:
        """True if any change is on."""
        return self != Augmentation()

    @property
    def changes_sound(self) -> bool:
        """True if a change of the mel spectrum is on."""
        return any((self.gain, self.equalizer, self.band_limit, self.noise))

    def check_features(self, config: FeatureConfig) -> None:
        """Check that the changes can be made to features.

        Raises
        ------
        DataError
            if a change has no effect on the features, or is unknown for their kind.
        """
        if self.changes_sound and config.kind not in ("mfcc", "log-mel"):
            raise DataError(
                f"The sound of {config.kind} features cannot be changed; use only"
                f" {option_name('time_mask')}, {option_name('coefficient_mask')} and"
                f" {option_name('mixup')}."
            )
        if self.gain and config.kind == "log-mel":
            raise DataError(
                f"{option_name('gain')} has no effect on log-mel features, which have one level;"
                " leave it out."
            )


RESIDUAL_AUGMENTATION = Augmentation(
    speed=0.1, gain=6.0, equalizer=2.5, band_limit=0.2, noise=0.5, time_mask=8, mixup=0.2
)
"""Changes that the network ``residual`` is trained with, unless a recipe has others."""


def option_name(field: str) -> str:
    """Return the name of a change in a recipe, such as ``augmentation.time-mask``."""
    return f"{TABLE}.{field.replace('_', '-')}"


def augmentation_options() -> dict[str, str]:
    """Return the fields of :class:`Augmentation` by their names in a recipe."""
    return {option_name(field.name): field.name for field in fields(Augmentation)}
