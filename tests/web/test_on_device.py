"""The snippets of docs/on-device.md, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pocketgenre.classifier import Classifier
from pocketgenre.demo.synthetic import write_audio, write_synthetic_library
from pocketgenre.models.pretrained import PRETRAINED_WAVEFORM
from tests.conftest import REPOSITORY
from tests.web.conftest import WEB
from tests.web.phone import Site

PAGE = REPOSITORY / "docs" / "on-device.md"
MEDIAPIPE = REPOSITORY / ".venv" / "mediapipe" / "bin" / "python"


def snippet(language: str, holding: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (code for code in found if holding in code)
    return code


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """``song.wav``, and the models beside it."""
    (original, *_) = write_synthetic_library(tmp_path / "library", seconds=9.5)
    import soundfile
    import soxr

    samples, rate = soundfile.read(original, dtype="float32", always_2d=True)
    path = tmp_path / "song.wav"
    write_audio(path, soxr.resample(samples, rate, 16_000), 16_000, subtype="PCM_16")
    model = PRETRAINED_WAVEFORM["best"]
    for file in (model, model.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    return path


def genre(song: Path) -> str:
    return Classifier.load().label(song).genre


def test_litert_with_our_features(song: Path) -> None:
    code = snippet("python", "compute_features")
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"}
    said = subprocess.check_output(command, cwd=song.parent, env=environment, text=True, timeout=60)
    assert said.strip() == genre(song)


def test_mediapipe_in_python(song: Path) -> None:
    if not MEDIAPIPE.exists():
        pytest.skip("the MediaPipe environment is not set up: make test does it")
    command = [MEDIAPIPE, "-c", snippet("python", "AudioClassifierOptions")]
    said = subprocess.check_output(
        command, cwd=song.parent, stderr=subprocess.DEVNULL, text=True, timeout=120
    )
    assert said.strip().splitlines()[-1] == genre(song)


def test_litert_in_a_web_page(song: Path, npm: str, browser) -> None:
    folder = song.parent
    (folder / "genre.js").write_text(snippet("js", "genreOf"), encoding="utf-8")
    (folder / "index.html").write_text("<!doctype html><title>genre</title>")
    (folder / "headers.json").write_text("{}")
    shutil.copytree(WEB / "node_modules" / "@litertjs" / "core" / "wasm", folder / "wasm")
    subprocess.run(
        [npm, "exec", "--", "esbuild", folder / "genre.js", "--bundle", "--format=esm",
         "--log-level=warning", f"--outfile={folder / 'bundle.js'}"],
        cwd=WEB, check=True, env={**os.environ, "NODE_PATH": str(WEB / "node_modules")},
    )  # fmt: skip
    with Site(folder) as site:
        page = browser.new_page()
        page.goto(site.url)
        said = page.evaluate(
            """async () => {
              const { genreOf } = await import("./bundle.js");
              return genreOf(new File([await (await fetch("song.wav")).blob()], "song.wav"));
            }"""
        )
    assert said == genre(song)
