"""Provide the built phone page, its server, a browser, and the page's rules in Node."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser import CHROMIUM, start_browser
from tests.conftest import REPOSITORY, write_once
from tests.web.browser_calls import BrowserCalls, open_functions
from tests.web.mixed_library import write_album
from tests.web.page_driver import PageServer, Phone
from tests.web.rule_calls import RuleCalls

WEB = REPOSITORY / "mobile_demo" / "web"
CALL_RULES = Path(__file__).with_name("call_rules.mjs")


def require(tool: str) -> str:
    """Return the path of a program; without it, fail in CI and skip elsewhere."""
    found = shutil.which(tool)
    if not found:
        if os.environ.get("CI"):
            pytest.fail(f"{tool} is missing")
        pytest.skip(f"{tool} is missing")
    return found


@pytest.fixture(scope="session")
def npm() -> str:
    """Return npm's path, after it has installed the locked packages."""
    found = require("npm")
    installed = WEB / "node_modules" / ".package-lock.json"
    lock = WEB / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([found, "ci", "--ignore-scripts"], cwd=WEB, check=True)
    return found


@pytest.fixture(scope="session")
def rules(npm: str, tmp_path_factory: pytest.TempPathFactory) -> RuleCalls:
    """Return a function that calls functions of ``src/rules`` in Node.

    Each of its arguments is a tuple of a function's name and that function's arguments. The result
    of a function that throws is the error's message.
    """
    bundle = tmp_path_factory.mktemp("rules") / "rules.mjs"
    esbuild = WEB / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--format=esm", "--log-level=warning", f"--outfile={bundle}"]
    subprocess.run([esbuild, "src/rules/index.ts", *options], cwd=WEB, check=True)
    node = require("node")

    def call(*calls: tuple[Any, ...]) -> list[Any]:
        requests = json.dumps([(name, arguments) for name, *arguments in calls])
        done = subprocess.run(
            [node, CALL_RULES, bundle],
            input=requests, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return [result.get("value", result.get("error")) for result in json.loads(done.stdout)]

    return call


@pytest.fixture(scope="package")
def learning(
    npm: str, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserCalls]:
    """Return a function that calls functions of ``src/learning`` in Chromium."""
    bundle = tmp_path_factory.mktemp("learning") / "learning.js"
    esbuild = WEB / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--format=iife", "--global-name=functions", "--log-level=warning"]
    command = [esbuild, "src/learning/index.ts", *options, f"--outfile={bundle}"]
    subprocess.run(command, cwd=WEB, check=True)
    with open_functions(browser, bundle.read_text(encoding="utf-8")) as call:
        yield call


@pytest.fixture(scope="session")
def built(npm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page, which also checks its types."""

    def build(folder: Path) -> None:
        command = [npm, "run", "--silent", "build", "--", "--outDir", folder]
        subprocess.run(command, cwd=WEB, check=True)

    return write_once(tmp_path_factory, "page", build)


def copy_sources(folder: Path) -> Path:
    """Copy the sources of the page, for a build with changes, and return their folder.

    The package's files, which the page reads, are linked at ``pocketgenre``.
    """
    web = folder / "mobile_demo" / "web"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (web / "node_modules").symlink_to(WEB / "node_modules")
    (folder / "pocketgenre").symlink_to(REPOSITORY / "pocketgenre")
    return web


def build_copy(npm: str, web: Path) -> Path:
    """Build copied sources, and return the folder of the page."""
    build = [npm, "exec", "--", "vite", "build", "--logLevel", "warn", "--outDir", "built"]
    subprocess.run(build, cwd=web, check=True)
    return web / "built"


@pytest.fixture(scope="package")
def server(built: Path) -> Iterator[PageServer]:
    with PageServer(built) as running:
        yield running


@pytest.fixture(scope="package")
def browser(built: Path) -> Iterator[Browser]:
    """Start Chromium, after the build so that both need not fit in memory at once."""
    require(CHROMIUM)
    with start_browser() as running:
        yield running


@pytest.fixture
def phone(browser: Browser, server: PageServer) -> Iterator[Phone]:
    """Open the page in a new profile, and check at the end that there were no errors."""
    with Phone(browser, server) as opened:
        yield opened
        opened.check()


@pytest.fixture
def album(tmp_path: Path) -> list[Path]:
    """Write four short songs."""
    return write_album(tmp_path / "Album")
