"""The models that can be chosen: those that are shipped, and exported ones of a folder."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from pocketgenre.errors import ModelError
from pocketgenre.models.model_card import card_path
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from pocketgenre.server.model_registry import open_registry
from tests.conftest import Command
from tests.server.serving import Serving, serving


def put(folder: Path, name: str, source: Path = PRETRAINED["standard"]) -> Path:
    """A model with its card under another name."""
    folder.mkdir(exist_ok=True)
    shutil.copy(source, folder / f"{name}.tflite")
    shutil.copy(card_path(source), folder / f"{name}.json")
    return folder / f"{name}.tflite"


def test_the_shipped_ones_are_there(server: Serving) -> None:
    answer = server.get("/v1/models").json()
    assert answer["default"] == "best"
    files = {path.stem: path for path in (*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values())}
    assert {model["name"] for model in answer["models"]} == set(files)
    for model in answer["models"]:
        content = files[model["name"]].read_bytes()
        assert model["bytes"] == len(content)
        assert model["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", [*PRETRAINED, "standard_waveform"])
def test_a_model_is_described_as_its_card_has_it(server: Serving, name: str) -> None:
    told = server.get("/v1/model", params={"model": name}).json()
    path = {**PRETRAINED, "standard_waveform": PRETRAINED_WAVEFORM["standard"]}[name]
    card = json.loads(card_path(path).read_text())
    assert told["card"] == card
    assert told["labels"] == card["labels"]
    assert told["front_end"] == card["front_end"]
    operations = {operation["name"]: operation["count"] for operation in told["operations"]}
    assert operations["CONV_2D"] > 1
    assert operations["SOFTMAX"] == 1
    assert ("RFFT2D" in operations) == ("waveform" in name)
    assert "DELEGATE" not in operations


def test_exported_ones_of_a_folder_can_be_chosen_by_name(songs: Path, tmp_path: Path) -> None:
    put(tmp_path / "exports", "mine")
    (tmp_path / "exports" / "without card.tflite").write_bytes(b"TFL3")
    options = ("--models", tmp_path / "exports", "--workers", 1)
    with serving(tmp_path / "log", *options) as running:
        names = [model["name"] for model in running.get("/v1/models").json()["models"]]
        assert names[0] == "best"
        assert "mine" in names
        assert "without card" not in names
        song = songs / "Bells.m4a"
        mine = running.post("/v1/classify", song, params={"model": "mine"}).json()
        standard = running.post("/v1/classify", song, params={"model": "standard"}).json()
        assert mine["model"]["name"] == "mine"
        assert mine["songs"] == standard["songs"]
        for path in ("exports/mine", "mine.tflite", str(tmp_path / "exports" / "mine.tflite")):
            refused = running.post("/v1/classify", song, params={"model": path})
            assert refused.status_code == 404


def test_a_file_can_be_the_default(tmp_path: Path) -> None:
    file = put(tmp_path / "exports", "mine")
    assert open_registry(str(file), None).default == "mine"
    assert open_registry(str(file), tmp_path / "exports").default == "mine"
    assert open_registry("mine", tmp_path / "exports").default == "mine"


def test_a_file_that_is_named_in_several_ways_is_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "mods", "mine")
    (tmp_path / "link").symlink_to("mods")
    for name in ("mods/mine.tflite", tmp_path / "mods/mine.tflite", "link/../mods/mine.tflite"):
        for folder in ("mods", "link", tmp_path / "mods"):
            shelf = open_registry(str(name), Path(folder))
            assert shelf.default == "mine"
            assert len(shelf.by_name) == len(PRETRAINED) + len(PRETRAINED_WAVEFORM) + 1
    shipped = PRETRAINED["standard"]
    for folder in (None, shipped.parent):
        shelf = open_registry(str(shipped), folder)
        assert shelf.default == "standard"
        assert len(shelf.by_name) == len(PRETRAINED) + len(PRETRAINED_WAVEFORM)


def test_a_file_that_links_name_twice_can_be_chosen_by_both_names(tmp_path: Path) -> None:
    version = put(tmp_path, "version-3")
    for of in (version, card_path(version)):
        (tmp_path / f"latest{of.suffix}").symlink_to(of.name)
    shelf = open_registry(str(tmp_path / "latest.tflite"), tmp_path)
    assert shelf.default == "latest"
    assert "version-3" in shelf.by_name


def test_what_can_not_be_served_is_named(tmp_path: Path, run_command: Command) -> None:
    with pytest.raises(ModelError, match="There is no model nobody; there are standard, best"):
        open_registry("nobody", None)
    with pytest.raises(ModelError, match="export-tflite writes both"):
        open_registry("best", tmp_path)
    put(tmp_path / "twice", "best")
    with pytest.raises(ModelError, match="Two models are called best"):
        open_registry("best", tmp_path / "twice")
    (put(tmp_path / "broken", "mine")).write_bytes(b"\x1c\0\0\0TFL3")
    result = run_command("pocketgenre.server.cli", "--models", tmp_path / "broken", "--port", "0")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
