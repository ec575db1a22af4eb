"""List and select the models: the pretrained ones and the exported ones of a folder."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from pocketgenre.errors import ModelError
from pocketgenre.models.model_card import card_path
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from pocketgenre.server.model_registry import open_registry
from tests.conftest import invoke
from tests.server.servers import Server, serve_in_process


def copy_model(folder: Path, name: str, source: Path = PRETRAINED["standard"]) -> Path:
    """Copy a model and its card under another name."""
    folder.mkdir(exist_ok=True)
    shutil.copy(source, folder / f"{name}.tflite")
    shutil.copy(card_path(source), folder / f"{name}.json")
    return folder / f"{name}.tflite"


def test_pretrained_models_are_listed(server: Server) -> None:
    response = server.get("/v1/models").json()
    assert response["default"] == "best"
    files = {path.stem: path for path in (*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values())}
    assert {model["name"] for model in response["models"]} == set(files)
    for model in response["models"]:
        content = files[model["name"]].read_bytes()
        assert model["bytes"] == len(content)
        assert model["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", [*PRETRAINED, "standard_waveform"])
def test_description_matches_model_card(server: Server, name: str) -> None:
    description = server.get("/v1/model", params={"model": name}).json()
    path = {**PRETRAINED, "standard_waveform": PRETRAINED_WAVEFORM["standard"]}[name]
    card = json.loads(card_path(path).read_text())
    assert description["card"] == card
    assert description["labels"] == card["labels"]
    assert description["front_end"] == card["front_end"]
    operations = {operation["name"]: operation["count"] for operation in description["operations"]}
    assert operations["CONV_2D"] > 1
    assert operations["SOFTMAX"] == 1
    assert ("RFFT2D" in operations) == ("waveform" in name)
    assert "DELEGATE" not in operations


def test_exported_models_are_chosen_by_name(songs: Path, tmp_path: Path) -> None:
    copy_model(tmp_path / "exports", "mine")
    (tmp_path / "exports" / "without card.tflite").write_bytes(b"TFL3")
    options = ("--models", tmp_path / "exports", "--workers", 1)
    with serve_in_process(tmp_path / "log", *options) as running:
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


def test_file_can_be_the_default(tmp_path: Path) -> None:
    file = copy_model(tmp_path / "exports", "mine")
    assert open_registry(str(file), None).default == "mine"
    assert open_registry(str(file), tmp_path / "exports").default == "mine"
    assert open_registry("mine", tmp_path / "exports").default == "mine"


def test_same_file_by_other_path_is_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copy_model(tmp_path / "mods", "mine")
    (tmp_path / "link").symlink_to("mods")
    for name in ("mods/mine.tflite", tmp_path / "mods/mine.tflite", "link/../mods/mine.tflite"):
        for folder in ("mods", "link", tmp_path / "mods"):
            registry = open_registry(str(name), Path(folder))
            assert registry.default == "mine"
            assert len(registry.by_name) == len(PRETRAINED) + len(PRETRAINED_WAVEFORM) + 1
    shipped = PRETRAINED["standard"]
    for folder in (None, shipped.parent):
        registry = open_registry(str(shipped), folder)
        assert registry.default == "standard"
        assert len(registry.by_name) == len(PRETRAINED) + len(PRETRAINED_WAVEFORM)


def test_linked_file_has_both_names(tmp_path: Path) -> None:
    version = copy_model(tmp_path, "version-3")
    for file in (version, card_path(version)):
        (tmp_path / f"latest{file.suffix}").symlink_to(file.name)
    registry = open_registry(str(tmp_path / "latest.tflite"), tmp_path)
    assert registry.default == "latest"
    assert "version-3" in registry.by_name


def test_invalid_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model nobody; choose standard, best"):
        open_registry("nobody", None)
    with pytest.raises(ModelError, match="export-tflite writes both"):
        open_registry("best", tmp_path)
    copy_model(tmp_path / "twice", "best")
    with pytest.raises(ModelError, match="Two models are named best"):
        open_registry("best", tmp_path / "twice")
    copy_model(tmp_path / "broken", "mine").write_bytes(b"\x1c\0\0\0TFL3")
    result = invoke("pocketgenre.server.cli", "--models", tmp_path / "broken", "--port", 0)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
