"""The forms in which a network can be exported."""

from dataclasses import dataclass, replace
from typing import Literal

from pocketgenre.errors import PocketGenreError

Features = str
Input = str
Quantization = Literal["int8", "int16x8", "float16", "dynamic", "float32"]
Io = Literal["float32", "int8"]

QUANTIZATIONS: dict[Quantization, str] = {
    "int8": "weights and activations in 8 bits",
    "int16x8": "weights in 8 bits, activations in 16",
    "float16": "weights in 16-bit floats, arithmetic in 32",
    "dynamic": "weights in 8 bits, activations quantized as they come",
    "float32": "nothing is quantized",
}


@dataclass(frozen=True)
class Form:
    """What a file takes, how it computes and what its two ends look like.

    Attributes
    ----------
    input : ``mfcc`` or ``log-mel``, the features of a segment; or ``waveform``, its samples
    quantization : of the network; the front end is float32 in any case
    io : type of the input and the output

    Raises
    ------
    PocketGenreError
        the three don't go together.
    """

    input: Input = "mfcc"
    quantization: Quantization = "int8"
    io: Io = "float32"

    def __post_init__(self) -> None:
        if self.io == "int8" and (self.input == "waveform" or self.quantization != "int8"):
            raise PocketGenreError(
                "--io int8 goes with features and --quantization int8 alone: a waveform in"
                " 8 bits would lose its quiet parts, and the other forms compute in floats."
            )

    @property
    def name(self) -> str:
        """For file names and tables: input and quantization, and the io where it is int8."""
        return f"{self.input}_{self.quantization}" + ("_io" if self.io == "int8" else "")

    @property
    def calibrated(self) -> bool:
        """Whether the ranges of the activations are fixed while converting."""
        return self.quantization in ("int8", "int16x8")


def family(features: Features = "mfcc") -> list[Form]:
    """Every form there is of a network on such features, the smallest input first."""
    inputs: tuple[Input, ...] = (features, "waveform")
    forms = [Form(i, q) for i in inputs for q in QUANTIZATIONS]
    return [forms[0], replace(forms[0], io="int8"), *forms[1:]]
