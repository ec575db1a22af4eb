"""The snippets in the docs run, and their commands and options exist."""

import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from pocketgenre.demo.synthetic import write_synthetic_library
from tests.conftest import REPOSITORY

PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])
COMMANDS = {
    entry.name: entry.value
    for entry in entry_points(group="console_scripts")
    if entry.value.startswith("pocketgenre.")
}


def snippets(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def pages_with(language: str) -> list[Path]:
    # The snippets of on-device.md are for MediaPipe and have a test of their own in tests/web.
    return [page for page in PAGES if snippets(page, language) and page.stem != "on-device"]


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the snippets name, which is also the home folder."""
    folder = tmp_path_factory.mktemp("docs")
    write_synthetic_library(folder / "Music", seconds=7.0)
    write_synthetic_library(folder / "music", seconds=4.0)
    (folder / "song.mp3").write_bytes((folder / "Music" / "Broken beat.mp3").read_bytes())
    (folder / "music" / "broken.mp3").write_bytes(b"no audio")
    (folder / "notes.txt").write_text("no audio")
    return folder


@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: page.stem)
def test_python_snippets_run(page: Path, songs: Path) -> None:
    code = "\n".join(snippets(page, "python"))
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=songs,
        env={"PYTHONPATH": str(REPOSITORY), "HOME": str(songs), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout


NAS = REPOSITORY / "docs" / "nas.md"


@pytest.fixture
def nas_home(songs: Path, tmp_path: Path) -> Path:
    """A home folder with music, and with scan-library where the page expects it."""
    command = tmp_path / ".local" / "bin" / "scan-library"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m pocketgenre.cli.scan_library "$@"\n')
    command.chmod(0o755)
    shutil.copytree(songs / "Music", tmp_path / "Music")
    return tmp_path


def test_cron_line_writes_playlists(nas_home: Path) -> None:
    (line,) = snippets(NAS, "crontab")
    assert run_as_cron(line.split(maxsplit=5)[5], nas_home) == ""
    assert list((nas_home / "Music" / "Genres").glob("*.m3u8"))


def test_systemd_service_writes_results(nas_home: Path) -> None:
    service, _ = snippets(NAS, "systemd")
    (line,) = re.findall(r"^ExecStart=(.*)$", service, flags=re.MULTILINE)
    assert run_as_cron(line.replace("%h", str(nas_home)), nas_home) == ""
    assert (nas_home / "genres.json").exists()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_units_are_valid(nas_home: Path) -> None:
    for ending, unit in zip(("service", "timer"), snippets(NAS, "systemd"), strict=True):
        (nas_home / f"scan.{ending}").write_text(unit.replace("%h", str(nas_home)))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--user", nas_home / "scan.service", nas_home / "scan.timer"],
        env={"XDG_RUNTIME_DIR": str(nas_home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def run_as_cron(line: str, home: Path) -> str:
    """Run a command with cron's variables; return what cron would mail."""
    result = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=home,
        env={
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "SHELL": "/bin/sh",
            "PYTHONPATH": str(REPOSITORY),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def command_lines(page: Path) -> list[list[str]]:
    """Return the project's commands in a page, without comments, pipes and variables."""
    lines = []
    for snippet in snippets(page, "sh"):
        # Indented lines continue the line before, as in a synopsis.
        for line in re.sub(r"\\?\n +", " ", snippet).splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for position, word in enumerate(words):
                if Path(word).name in COMMANDS:
                    lines.append([Path(word).name, *words[position + 1 :]])
                    break
    return lines


@pytest.mark.parametrize("page", [p for p in PAGES if command_lines(p)], ids=lambda p: p.stem)
def test_commands_have_the_documented_options(page: Path) -> None:
    for name, *arguments in command_lines(page):
        used = set(re.findall(r"(?<!\w)--[a-z][a-z-]*", " ".join(arguments)))
        known = command_options(name) | {"--help"}
        assert used <= known, f"{page.name}: {name} has no {', '.join(sorted(used - known))}"


@pytest.mark.parametrize("name", COMMANDS)
def test_page_of_command_lists_every_option(name: str) -> None:
    page = (REPOSITORY / "docs" / f"{name}.md").read_text("utf-8")
    documented = set(re.findall(r"(?<!\w)--[a-z][a-z-]*", page)) | {"--help"}
    assert command_options(name) <= documented


def command_options(name: str) -> set[str]:
    """Return the options of a command from its help."""
    if name not in _OPTIONS:
        module, _, function = COMMANDS[name].partition(":")
        start = f"from {module} import {function} as start; start()"
        code = f"import sys; sys.argv = [{name!r}, '--help']; {start}"
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=REPOSITORY,
            env={"COLUMNS": "400", "PATH": "/usr/bin:/bin", "TERM": "dumb"},
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        )
        _OPTIONS[name] = set(re.findall(r"--[a-z][a-z-]*", result.stdout))
    return _OPTIONS[name]


_OPTIONS: dict[str, set[str]] = {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_docs_resolve(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor and linked.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in slugs, f"{page.name} links to {target}"


def markdown_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [REPOSITORY / name for name in listed.stdout.split()]


def test_markdown_has_at_most_120_columns() -> None:
    for file in markdown_files():
        in_code = False
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            in_code ^= line.startswith("```")
            is_wrappable = not (in_code or line.startswith(("|", "![", "http")))
            assert len(line) <= 120 or not is_wrappable, f"{file.name}, line {number}"
