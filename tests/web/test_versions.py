"""Store versions of the page offline by the service worker, and update them."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import write_tone
from tests.web.conftest import build_copy, copy_sources
from tests.web.page_driver import PageServer, Phone

# In the built service worker: the list of files and their hashes, and the cache's name.
FILES, VERSION = r'\[\["assets/.*?"\]\]', r'"[0-9a-f]{16}"'


@pytest.fixture
def site(built: Path, tmp_path: Path) -> Path:
    """Copy the built page, so that a test can change it."""
    return Path(shutil.copytree(built, tmp_path / "site"))


@pytest.fixture
def phone(browser: Browser, site: Path) -> Iterator[Phone]:
    """Open the copy of the page, ready for offline use."""
    with PageServer(site) as server, Phone(browser, server) as opened:
        opened.wait_until_offline_ready()
        yield opened


def test_update_waits_for_user(phone: Phone, site: Path) -> None:
    release(site, "new claim")
    phone.page.reload()
    phone.wait_for_text("A new version is available")
    phone.wait_for_text("Sorted on this device")
    phone.page.reload()
    phone.wait_for_text("Sorted on this device")
    phone.press("Reload")
    phone.wait_for_text("new claim")
    phone.context.set_offline(True)
    phone.page.reload()
    phone.wait_for_text("new claim")
    assert len(phone.page.evaluate("caches.keys()")) == 1
    phone.check()


def test_update_waits_for_scan(phone: Phone, site: Path, tmp_path: Path) -> None:
    files = [write_tone(tmp_path / f"{n:02}.wav", 20.0 + n, 16_000) for n in range(24)]
    release(site, "new claim")
    phone.page.reload()
    phone.wait_for_text("A new version is available")
    phone.start_scan(files)
    phone.press("Reload")
    phone.wait_for_text("The new version starts when the scan has ended")
    before = len(phone.songs())
    phone.wait_for_progress(before + 2)
    with phone.page.expect_navigation():
        phone.press("Stop the scan")
    phone.page.get_by_role("heading", name="Your library").wait_for()
    assert before + 2 <= len(phone.songs()) < len(files)
    assert len(phone.page.evaluate("caches.keys()")) == 1
    phone.check()


@pytest.mark.parametrize("fault", ["missing", "changed"])
def test_incomplete_version_is_rejected(phone: Phone, site: Path, fault: str) -> None:
    release(site, "new claim")
    (style,) = site.glob("assets/index-*.css")
    if fault == "missing":
        style.unlink()
    else:
        style.write_text("body { display: none }")
    state = phone.page.evaluate(
        """async () => {
          const registration = await navigator.serviceWorker.ready;
          const settled = new Promise(resolve => registration.onupdatefound = () => {
            const worker = registration.installing;
            worker.onstatechange = () => resolve(worker.state);
          });
          registration.update().catch(() => {});
          return settled;
        }"""
    )
    assert state == "redundant"
    phone.page.reload()
    phone.wait_for_text("Sorted on this device")
    assert phone.page.get_by_text("A new version").count() == 0
    assert len(phone.page.evaluate("caches.keys()")) == 1


def test_changed_worker_gets_new_cache(npm: str, built: Path, tmp_path: Path) -> None:
    web = copy_sources(tmp_path)
    with (web / "src" / "service-worker.ts").open("a", encoding="utf-8") as worker:
        worker.write('self.addEventListener("sync", () => {});\n')
    before, after = ((folder / "sw.js").read_text() for folder in (built, build_copy(npm, web)))
    assert re.findall(FILES, before) == re.findall(FILES, after)
    assert re.findall(VERSION, before) != re.findall(VERSION, after)


def test_redirected_index_opens_offline(browser: Browser, built: Path) -> None:
    with PageServer(built, redirects_index=True) as server, Phone(browser, server) as phone:
        phone.wait_until_offline_ready()
        phone.page.reload()
        phone.wait_until_offline_ready()
        phone.context.set_offline(True)
        phone.page.reload()
        phone.page.get_by_role("button", name="Choose songs").wait_for()
        phone.check()


def release(site: Path, claim: str) -> None:
    """Turn a built page into another version, whose script has another text and name."""
    (script,) = site.glob("assets/index-*.js")
    content, count = re.subn(r"Your songs by genre[^\"]*", claim, script.read_text("utf-8"))
    assert count == 1
    new_script = script.with_name("index-newer.js")
    new_script.write_text(content, encoding="utf-8")
    script.unlink()
    page = site / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace(script.name, new_script.name))
    worker = site / "sw.js"
    code = worker.read_text(encoding="utf-8")
    files = json.loads(re.search(FILES, code)[0])  # type: ignore[index]
    names = [name.replace(script.name, new_script.name) for name, _ in files]
    new_files = json.dumps([[name, integrity(site / name)] for name in names])
    code = re.sub(FILES, lambda _: new_files, code)
    version = hashlib.sha256(new_files.encode()).hexdigest()[:16]
    worker.write_text(re.sub(VERSION, f'"{version}"', code), encoding="utf-8")


def integrity(file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
