"""Run ``check-features``: compare ported features with the reference."""

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, fail, run
from pocketgenre.errors import AudioError
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import DEFAULT_MODEL, find_model
from pocketgenre.parity.audio import song_segments
from pocketgenre.parity.comparison import Comparison, compare_features
from pocketgenre.parity.feature_files import FeaturesError, decode_features
from pocketgenre.text import printable


class ComparisonFormat(StrEnum):
    """Values of ``--format``."""

    text = "text"
    json = "json"


def check_features(
    features: Annotated[
        Path,
        typer.Argument(
            help="Features that the device computed: .npy, or nested lists in JSON.",
            metavar="FEATURES",
            exists=True,
            dir_okay=False,
        ),
    ],
    audio: Annotated[
        Path,
        typer.Argument(
            help="The song that they were computed from.",
            metavar="AUDIO",
            exists=True,
            dir_okay=False,
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="Model whose input the features are: best, standard, or a TFLite file with its"
            " JSON model card next to it.",
            metavar="NAME|FILE",
        ),
    ] = DEFAULT_MODEL,
    first: Annotated[
        int,
        typer.Option(
            help="Number of the first segment in the features, counted from 0.",
            min=0,
            max=100_000,
            metavar="N",
        ),
    ] = 0,
    format: Annotated[
        ComparisonFormat, typer.Option(help="Output format.")
    ] = ComparisonFormat.text,
    debug: Debug = False,
) -> None:
    """Compare features computed on a device with the reference, and name the cause of differences.

    The exit status is 1 if they differ.

    For example:

    - `check-features device.npy song.flac --model standard --first 2`
    """
    feature_config = read_model(find_model(model))[1].feature_config
    try:
        table = decode_features(features.read_bytes(), feature_config)
        segments = song_segments(audio, feature_config)
        comparison = compare_features(table, audio, segments, feature_config, first)
    except AudioError as error:
        if debug:
            raise
        file = features if isinstance(error, FeaturesError) else audio
        fail(f"{printable(str(file))}: {error}.")
    if format is ComparisonFormat.json:
        json.dump(asdict(comparison), sys.stdout, indent=2)
        print()
    else:
        for line in _lines(comparison):
            print(line)
    if not comparison.same:
        sys.exit(1)


def _lines(comparison: Comparison) -> list[str]:
    lines = [f"Cause: {comparison.cause.code}. {comparison.cause.detail}"]
    if comparison.maximum is not None:
        lines.append(
            f"Largest difference {comparison.maximum:.3g}, mean {comparison.mean:.3g};"
            f" tolerance {comparison.tolerance:g}."
        )
    if comparison.same:
        return lines
    if comparison.frames:
        worst, coefficient = comparison.frames[0], comparison.coefficients[0]
        lines.append(
            f"The largest is in segment {worst.segment}, frame {worst.frame}; the coefficient with"
            f" the largest is {coefficient.coefficient}."
        )
    lines += ["", f"{'With the reference changed by':<30}{'largest':>12}{'mean':>12}"]
    for cause in comparison.tried:
        lines.append(f"{cause.code:<30}{cause.maximum:>12.3g}{cause.mean:>12.3g}")
    return lines


def main() -> None:
    """Run the command."""
    run(check_features)


if __name__ == "__main__":
    main()
