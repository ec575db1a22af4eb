"""The phone page, built once, served under a path of its own, and opened in a real browser."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import CHROMIUM, start_browser
from tests.conftest import REPOSITORY
from tests.web.phone import Phone, Site
from tests.web.rules import Call

WEB = REPOSITORY / "mobile_demo" / "web"
CALL = Path(__file__).with_name("call.mjs")


def needed(tool: str) -> str:
    found = shutil.which(tool)
    if not found:
        if os.environ.get("CI"):
            pytest.fail(f"{tool} is needed")
        pytest.skip(f"{tool} is not here")
    return found


@pytest.fixture(scope="session")
def npm() -> str:
    """npm, once the page's packages are there as the lock says."""
    found = needed("npm")
    installed = WEB / "node_modules" / ".package-lock.json"
    lock = WEB / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([found, "ci", "--ignore-scripts"], cwd=WEB, check=True)
    return found


@pytest.fixture(scope="session")
def rules(npm: str, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Calls functions of ``src/rules`` in Node: (name, argument, ...) each."""
    bundle = tmp_path_factory.mktemp("rules") / "rules.mjs"
    subprocess.run(
        [npm, "exec", "--", "esbuild", "src/rules/index.ts", "--bundle", "--format=esm",
         "--log-level=warning", f"--outfile={bundle}"],
        cwd=WEB, check=True,
    )  # fmt: skip

    def call(*calls: tuple[Any, ...]) -> list[Any]:
        given = json.dumps([(name, arguments) for name, *arguments in calls])
        command = [needed("node"), CALL, bundle]
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, check=True, timeout=60
        )
        return [result.get("value", result.get("error")) for result in json.loads(done.stdout)]

    return call


@pytest.fixture(scope="session")
def built(npm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built page, its types checked."""
    folder = tmp_path_factory.mktemp("page")
    subprocess.run([npm, "run", "--silent", "build", "--", "--outDir", folder], cwd=WEB, check=True)
    return folder


@pytest.fixture
def site(built: Path) -> Iterator[Site]:
    with Site(built) as running:
        yield running


@pytest.fixture(scope="package")
def browser(built: Path):
    """Debian's Chromium; after the page is built, so that both need not fit at once."""
    needed(CHROMIUM)
    with start_browser() as running:
        yield running


@pytest.fixture
def phone(browser, site: Site) -> Iterator[Phone]:
    """A phone with the page open. When it is put away it has asked nobody else for anything."""
    with Phone(browser, site) as held:
        yield held
        held.check()
