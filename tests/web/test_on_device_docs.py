"""Run the snippets of docs/on-device.md, which must predict the same genre as the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from pocketgenre import GenreClassifier
from pocketgenre.demo.synthetic import write_audio, write_synthetic_library
from pocketgenre.models.pretrained import PRETRAINED_WAVEFORM
from tests.conftest import REPOSITORY
from tests.web.conftest import WEB
from tests.web.page_driver import PageServer

DOCUMENT = REPOSITORY / "docs" / "on-device.md"
MEDIAPIPE = REPOSITORY / ".venv" / "mediapipe" / "bin" / "python"


def snippet(language: str, text: str) -> str:
    """Return the only snippet in a language that contains a text."""
    found = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (code for code in found if text in code)
    return code


@pytest.fixture(scope="module")
def written_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write ``song.wav``."""
    import soundfile
    import soxr

    folder = tmp_path_factory.mktemp("song")
    (original, *_) = write_synthetic_library(folder / "library", seconds=9.5)
    samples, rate = soundfile.read(original, dtype="float32", always_2d=True)
    path = folder / "song.wav"
    write_audio(path, soxr.resample(samples, rate, 16_000), 16_000, subtype="PCM_16")
    return path


@pytest.fixture
def song(written_song: Path, tmp_path: Path) -> Path:
    """Copy ``song.wav`` and the model into one folder."""
    path = Path(shutil.copy(written_song, tmp_path))
    model = PRETRAINED_WAVEFORM["best"]
    for file in (model, model.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    return path


def expected_genre(song: Path) -> str:
    return GenreClassifier().classify(song).genre


def test_litert_snippet(song: Path) -> None:
    code = snippet("python", "ai_edge_litert")
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"}
    output = subprocess.check_output(
        command, cwd=song.parent, env=environment, text=True, timeout=60
    )
    assert output.strip() == expected_genre(song)


def test_mediapipe_snippet(song: Path) -> None:
    if not MEDIAPIPE.exists():
        pytest.skip("the MediaPipe environment is missing; make test creates it")
    command = [MEDIAPIPE, "-c", snippet("python", "AudioClassifierOptions")]
    output = subprocess.check_output(
        command, cwd=song.parent, stderr=subprocess.DEVNULL, text=True, timeout=120
    )
    assert output.strip().splitlines()[-1] == expected_genre(song)


def test_web_page_snippet(song: Path, npm: str, browser: Browser) -> None:
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
    with PageServer(folder) as server:
        page = browser.new_page()
        page.goto(server.url)
        output = page.evaluate(
            """async () => {
              const { genreOf } = await import("./bundle.js");
              return genreOf(new File([await (await fetch("song.wav")).blob()], "song.wav"));
            }"""
        )
    assert output == expected_genre(song)
