"""Define the variants of a TFLite file: input, quantization, and type of input and output."""

from dataclasses import dataclass, replace
from typing import Literal

from pocketgenre.errors import PocketGenreError
from pocketgenre.features.config import feature_kind

WAVEFORM = "waveform"
Quantization = Literal["int8", "int16x8", "float16", "dynamic", "float32"]
IOType = Literal["float32", "int8"]

QUANTIZATIONS: dict[Quantization, str] = {
    "int8": "weights and activations in 8 bits",
    "int16x8": "weights in 8 bits, activations in 16",
    "float16": "weights in 16-bit floats, arithmetic in 32",
    "dynamic": "weights in 8 bits, activations quantized at run time",
    "float32": "nothing is quantized",
}


@dataclass(frozen=True)
class Variant:
    """Input, quantization and type of input and output of a TFLite file.

    Attributes
    ----------
    input : name of a kind of features, or ``waveform`` for the samples of a segment
    quantization : quantization of the network; features and softmax are always float32
    io : type of the input and the output

    Raises
    ------
    PocketGenreError
        if ``io`` is int8 and the input or the quantization does not allow it.
    """

    input: str = "mfcc"
    quantization: Quantization = "int8"
    io: IOType = "float32"

    def __post_init__(self) -> None:
        if self.io == "int8" and (self.input == WAVEFORM or self.quantization != "int8"):
            raise PocketGenreError(
                "--io int8 needs features as input and --quantization int8: a waveform in 8 bits"
                " would lose its quiet parts, and the other quantizations compute in floats."
            )

    @property
    def name(self) -> str:
        """Name for files and tables: input, quantization, and ``io`` if that is int8."""
        return f"{self.input}_{self.quantization}" + ("_io" if self.io == "int8" else "")

    @property
    def is_full_integer(self) -> bool:
        """True if activations are quantized to ranges that are fixed at conversion."""
        return self.quantization in ("int8", "int16x8")


def all_variants(kind: str = "mfcc") -> list[Variant]:
    """List all variants of a network on one kind of features, feature inputs first."""
    inputs = [kind, WAVEFORM] if feature_kind(kind).graph else [kind]
    variants = [Variant(i, q) for i in inputs for q in QUANTIZATIONS]
    return [variants[0], replace(variants[0], io="int8"), *variants[1:]]
