"""Build the page with a model of the user's own: ``make phone MODEL=FILE``."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from pocketgenre import GenreClassifier
from pocketgenre.demo.synthetic import write_synthetic_library
from pocketgenre.models.model_card import card_path, read_model
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from tests.web.conftest import WEB
from tests.web.page_driver import PageServer, Phone


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with other labels, in a folder and a file with odd names."""
    source = PRETRAINED_WAVEFORM["standard"]
    file = tmp_path_factory.mktemp("it's mine") / "my model ü.tflite"
    shutil.copy(source, file)
    _, card = read_model(source)
    labels = tuple(f"genre {number}" for number in range(len(card.labels)))
    card_path(file).write_text(replace(card, labels=labels, confidence=None).to_json())
    return file


def build(npm: str, folder: Path, model: Path) -> subprocess.CompletedProcess[str]:
    """Build the page from the folder of the model."""
    command = [npm, "--prefix", WEB, "exec", "--", "vite", "build", WEB, "--logLevel", "warn"]
    return subprocess.run(
        [*command, "--outDir", folder],
        cwd=model.parent,
        env={**os.environ, "MODEL": model.name, "INIT_CWD": str(model.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_page_classifies_with_own_model(
    npm: str, model: Path, browser: Browser, tmp_path: Path
) -> None:
    result = build(npm, tmp_path / "page", model)
    assert result.returncode == 0, result.stderr
    songs = write_synthetic_library(tmp_path / "songs", 7.0)
    classifier = GenreClassifier(model)
    with PageServer(tmp_path / "page") as server, Phone(browser, server) as phone:
        phone.scan(songs)
        genres = {row["path"]: row["genre"] for row in phone.exported()}
        phone.press("Settings")
        options = phone.page.get_by_label("Model").locator("option")
        assert options.first.inner_text() == "my model ü: your model"
        assert options.count() == 3
        phone.check()
    assert genres == {song.name: classifier.classify(song).genre for song in songs}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("features", "has features as input, which the page does not compute; export it with"),
        ("card", "and its card own.json cannot be read"),
        ("other", "is not the file that its card describes; export the model again."),
        ("text", "is not a TFLite model; export-tflite writes one."),
    ],
)
def test_unusable_model_ends_the_build(
    npm: str, model: Path, tmp_path: Path, change: str, sentence: str
) -> None:
    file = tmp_path / "own.tflite"
    source = PRETRAINED["standard"] if change == "features" else model
    shutil.copy(source, file)
    if change != "card":
        shutil.copy(card_path(source), card_path(file))
    if change == "other":
        card = json.loads(card_path(file).read_text()) | {"sha256": "0" * 64}
        card_path(file).write_text(json.dumps(card))
    if change == "text":
        file.write_text("no model")
    result = build(npm, tmp_path / "page", file)
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {file} {sentence}")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "page").exists()
