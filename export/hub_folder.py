"""Write a folder that can be uploaded as a model repository of the Hugging Face Hub.

::

    FOLDER/
        README.md       model card of the Hub: metadata in YAML, and a description
        NAME.tflite     model
        NAME.json       model card that scan-library reads
"""

import json
from pathlib import Path
from typing import Any

from pocketgenre.atomic_write import write_atomic
from pocketgenre.errors import PocketGenreError
from pocketgenre.models.model_card import ModelCard, card_path
from pocketgenre.text import count_of
from pocketgenre.training.models.trainers import UNSPECIFIED_LICENCE

_README = "README.md"

_LICENCES = {
    *("apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
    *("cc-by-sa-4.0", "cc0-1.0", "gpl-3.0", "isc", "lgpl-3.0", "mit", "mpl-2.0", "unlicense"),
}
"""Identifiers of the Hub that are SPDX identifiers in lower case."""


def require_own_folder(folder: Path) -> None:
    """Refuse a folder with files, unless its README is of this module.

    Raises
    ------
    PocketGenreError
        if the folder is not empty, or is a file.
    """
    if folder.is_dir() and (not any(folder.iterdir()) or _is_own(folder / _README)):
        return
    if folder.exists() or folder.is_symlink():
        raise PocketGenreError(
            f"{folder} exists and was not written by --hub-folder; name another folder."
        )


def write_hub_folder(folder: Path, name: str, model: bytes, card: ModelCard) -> None:
    """Write the folder of a model; files of an earlier export of the same name are replaced.

    Parameters
    ----------
    folder : folder to create
    name : name of the model's file, ending in ``.tflite``
    model : content of the file
    card : model card of the file

    Raises
    ------
    OSError
        if a file can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / name, model)
    write_atomic(card_path(folder / name), card.to_json().encode())
    write_atomic(folder / _README, hub_readme(name, card).encode())


def hub_readme(name: str, card: ModelCard) -> str:
    """Return the README of a model repository.

    Parameters
    ----------
    name : name of the model's file
    card : model card of the file
    """
    config = card.feature_config
    segment = f"{config.segment_seconds:g} s at {config.sample_rate:,} Hz"
    is_waveform = card.input == "waveform"
    inputs = (
        f"{config.segment_samples:,} samples, mono, float32, in [-1, 1]"
        if is_waveform
        else f"{' × '.join(map(str, config.shape))} {card.input} features (frames, coefficients)"
    )
    facts = {
        "Input": f"one segment of {segment}: {inputs}",
        "Output": f"probabilities of {count_of(len(card.labels), 'label')}",
        "Labels": ", ".join(map(_escaped, card.labels)),
        "Licence": card.licence or UNSPECIFIED_LICENCE,
        "SHA-256": f"`{card.sha256}`",
        **{f"Training: {key}": _shown(value) for key, value in card.training.items()},
        **{f"Accuracy: {key}": _shown(value) for key, value in card.accuracy.items()},
    }
    lines = [
        *("---", *_metadata(card), "---", "", f"# {Path(name).stem}", ""),
        f"Music genre of a song, on the device: a {card.name} network, trained and exported with"
        " pocketgenre.",
        "",
        *("| | |", "|---|---|", *(f"| {fact} | {text} |" for fact, text in facts.items()), ""),
        "## Use",
        "",
        "```sh",
        f"scan-library MUSIC --model {json.dumps(name)}",
        "```",
        "",
        f"The file `{card_path(Path(name)).name}` must be next to the model. A song's label is the"
        " majority of its segments.",
        "",
    ]
    return "\n".join(lines)


def _metadata(card: ModelCard) -> list[str]:
    """Return the lines of the YAML metadata; JSON values are YAML."""
    licence = card.licence.lower()
    if licence in ("", UNSPECIFIED_LICENCE.lower()):
        licences = {"license": "unknown"}
    elif licence in _LICENCES:
        licences = {"license": licence}
    else:
        licences = {"license": "other", "license_name": licence}
    values: dict[str, Any] = {
        **licences,
        "library_name": "tflite",
        "pipeline_tag": "audio-classification",
        "tags": ["music", "genre", "audio", "tflite", _TAG],
    }
    return [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]


_TAG = "pocketgenre"


def _is_own(readme: Path) -> bool:
    """Check whether a README has the metadata of this module."""
    try:
        with open(readme, encoding="utf-8") as file:
            head = file.read(4096)
    except (OSError, UnicodeDecodeError):
        return False
    return head.startswith("---\n") and f'"{_TAG}"]\n' in head


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_escaped(str(key))} {_shown(item)}" for key, item in value.items())
    return f"{value:,}" if isinstance(value, int) else _escaped(str(value))


def _escaped(text: str) -> str:
    """Escape what Markdown and HTML would not show as text in a cell of a table."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    for character in "\\`*_[]|":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped
