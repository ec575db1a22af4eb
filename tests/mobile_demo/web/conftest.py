"""The phone page, built once, served under a path of its own, and opened in a real browser."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import CHROMIUM, start_browser
from tests.conftest import REPOSITORY
from tests.mobile_demo.web.phone import Phone, Site

WEB = REPOSITORY / "mobile_demo" / "web"


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
