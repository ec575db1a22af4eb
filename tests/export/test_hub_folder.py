"""Write the folder of a model for the Hugging Face Hub."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pocketgenre import GenreClassifier
from pocketgenre.demo.synthetic import write_synthetic_library
from pocketgenre.errors import PocketGenreError
from pocketgenre.export.hub_folder import hub_readme, require_own_folder, write_hub_folder
from pocketgenre.models.model_card import ModelCard, read_model
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from tests.training.commands import EXPORT, refuse


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return read_model(PRETRAINED_WAVEFORM["best"])[1]


def metadata(card: ModelCard) -> dict[str, Any]:
    _, head, _ = hub_readme("genres.tflite", card).split("---\n", 2)
    return yaml.safe_load(head)


def test_folder_has_a_usable_model(tmp_path: Path) -> None:
    model, card = read_model(PRETRAINED["standard"])
    for _ in range(2):  # again, into its own folder
        require_own_folder(tmp_path / "hub")
        write_hub_folder(tmp_path / "hub", "genres.tflite", model, card)
    names = {path.name for path in (tmp_path / "hub").iterdir()}
    assert names == {"README.md", "genres.tflite", "genres.json"}
    song = write_synthetic_library(tmp_path / "songs", 4.0)[0]
    found = GenreClassifier(tmp_path / "hub" / "genres.tflite").classify(song)
    assert found.genre == GenreClassifier("standard").classify(song).genre


def test_metadata_names_task_and_licence(card: ModelCard) -> None:
    found = metadata(card)
    assert found["pipeline_tag"] == "audio-classification"
    assert found["library_name"] == "tflite"
    assert "pocketgenre" in found["tags"]


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("LicenseRef-unspecified", {"license": "unknown"}),
        ("", {"license": "unknown"}),
        ("CC0-1.0 AND ISC", {"license": "other", "license_name": "cc0-1.0 and isc"}),
    ],
)
def test_licence_is_one_of_the_hub(card: ModelCard, licence: str, expected: dict[str, str]) -> None:
    found = metadata(replace(card, licence=licence))
    assert {key: found[key] for key in found if key.startswith("license")} == expected


def test_readme_states_input_labels_and_accuracy(card: ModelCard) -> None:
    readme = hub_readme("genres.tflite", card)
    assert "| Input | one segment of 3 s at 16,000 Hz: 48,000 samples, mono" in readme
    assert "not-music" in readme
    assert f"| Accuracy: songs | {card.accuracy['songs']} |" in readme
    assert card.sha256 in readme


def test_names_are_shown_as_text(card: ModelCard) -> None:
    names = ("a|b", "<script>", "*bold*", *card.labels[3:])
    readme = hub_readme("genres.tflite", replace(card, labels=names))
    assert "a\\|b, &lt;script>, \\*bold\\*" in readme


def test_folder_of_others_is_kept(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("my notes")
    with pytest.raises(PocketGenreError, match="was not written by --hub-folder"):
        require_own_folder(tmp_path)
    with pytest.raises(PocketGenreError, match="was not written by --hub-folder"):
        require_own_folder(tmp_path / "README.md")
    options = ["--hub-folder", tmp_path, "--out", tmp_path / "model.tflite"]
    assert "name another folder" in refuse(EXPORT, tmp_path / "run", *options)
    assert (tmp_path / "README.md").read_text() == "my notes"
