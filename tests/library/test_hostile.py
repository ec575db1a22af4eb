"""Scan unusual files, which are labelled, and broken files, which are listed with a reason."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, invoke
from tests.library.broken import BROKEN, ODD, write_odd_library

SCAN = "pocketgenre.cli.scan_library"


@pytest.fixture(scope="module")
def odd_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    write_odd_library(folder)
    return folder


@pytest.mark.parametrize("options", [(), ("--segments", "1")])
def test_broken_files_have_their_reasons(odd_library: Path, options: tuple[str, ...]) -> None:
    result = invoke(SCAN, odd_library, "--format", "json", "--workers", "2", *options)
    assert result.returncode == 0
    errors = {song["path"]: song["error"] for song in json.loads(result.stdout)}
    assert set(errors) == {*ODD, *BROKEN}
    assert {name for name, error in errors.items() if error is None} == set(ODD)
    for name, (_, reason) in BROKEN.items():
        assert reason in errors[name], name
        assert "crashes" not in errors[name]
        assert "\n" not in errors[name]


def test_forbidden_files_are_named(tmp_path: Path, odd_library: Path) -> None:
    unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root may read every file, and setpriv is not installed")
    shutil.copy(odd_library / "7.1.wav", tmp_path / "open.wav")
    shutil.copy(odd_library / "7.1.wav", tmp_path / "secret.wav")
    (tmp_path / "secret.wav").chmod(0)
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0)
    command = [sys.executable, "-m", SCAN, str(tmp_path), "--format", "json"]
    command = [*(unprivileged if os.geteuid() == 0 else []), *command]
    output = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    errors = {song["path"]: song["error"] for song in json.loads(output)}
    assert errors == {
        "open.wav": None,
        "secret.wav": "cannot be read: Permission denied",
        "locked": "a folder that cannot be read",
    }
    (tmp_path / "secret.wav").chmod(0o600)  # changes neither size nor time
    (tmp_path / "locked").chmod(0o700)
    output = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    assert {song["error"] for song in json.loads(output)} == {None}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_large_library_with_broken_files(library: Path, tmp_path: Path) -> None:
    good = list(library.iterdir())
    for n in range(1_900):
        song = good[n % len(good)]
        target = tmp_path / f"artist {n % 50}" / f"{n}{song.suffix}"
        target.parent.mkdir(exist_ok=True)
        os.link(song, target)
    kinds = list(BROKEN.items())
    for n in range(100):
        name, (write, _) = kinds[n % len(kinds)]
        folder = tmp_path / f"artist {n % 50}" / str(n)
        folder.mkdir()
        write(folder / name)
    result = invoke(SCAN, tmp_path, "--format", "json")
    songs = json.loads(result.stdout)
    assert len(songs) == 2_000
    assert sum(song["error"] is None for song in songs) == 1_900
    for song in songs:
        name = Path(song["path"]).name
        assert (song["error"] is not None) == (name in BROKEN)
    again = invoke(SCAN, tmp_path, "--format", "json")
    assert json.loads(again.stdout) == songs
