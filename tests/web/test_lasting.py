"""What lasts: results when the browser is killed, a version until a person takes the next."""

import base64
import hashlib
import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conftest import write_tone
from tests.web.conftest import WEB
from tests.web.phone import Phone, Site

# In the service worker, as a build writes it: what is kept, and the name that it is kept under.
FILES, VERSION = r'\[\["assets/.*?"\]\]', r'"[0-9a-f]{16}"'


@pytest.fixture
def many(tmp_path: Path) -> list[Path]:
    """70 songs that are quick to hear."""
    original = write_tone(tmp_path / "original.wav", 6.5, 16_000)
    folder = tmp_path / "many"
    folder.mkdir()
    files = [folder / f"{number:03}.wav" for number in range(70)]
    for file in files:
        shutil.copy(original, file)
    return files


def test_a_killed_browser_goes_on_where_it_was(
    browser, site: Site, many: list[Path], tmp_path: Path
) -> None:
    """kill -9 to all of its processes in the middle of a scan; then it is started again."""
    profile = tmp_path / "profile"
    with Phone(browser, site, profile) as phone:
        phone.choose_files(many)
        phone.page.wait_for_function("() => document.querySelector('progress').value >= 10")
        kill_browser(profile)
    with Phone(browser, site, profile) as phone:
        before = phone.songs()
        assert 10 <= len(before) < len(many)
        phone.choose_files(many)
        phone.page.get_by_text(f"Done: {len(many) - len(before)} songs heard").wait_for()
        assert len(phone.songs()) == len(many)
        assert not [song for song in phone.songs().values() if song["error"]]


def kill_browser(profile: Path) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if any(str(profile) in part for part in process.info["cmdline"] or ()):
            process.send_signal(signal.SIGKILL)


def test_a_new_version_is_taken_whole_and_when_a_person_says_so(
    browser, built: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    shutil.copytree(built, folder)
    with Site(folder) as site, Phone(browser, site) as phone:
        phone.offline_ready()
        release(folder, "new claim")
        phone.page.reload()
        phone.page.get_by_text("A new version is ready").wait_for()
        assert phone.page.get_by_text("Sorted on this device").is_visible()
        phone.page.reload()  # still the old one, all of it
        assert phone.page.get_by_text("Sorted on this device").is_visible()
        phone.page.get_by_role("button", name="Reload").click()
        phone.page.get_by_text("new claim").wait_for()
        phone.context.set_offline(True)
        phone.page.reload()
        phone.page.get_by_text("new claim").wait_for()
        assert len(phone.page.evaluate("caches.keys()")) == 1
        phone.check()


@pytest.mark.parametrize("fault", ["missing", "changed"])
def test_half_a_version_is_never_taken(browser, built: Path, tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "site"
    shutil.copytree(built, folder)
    with Site(folder) as site, Phone(browser, site) as phone:
        phone.offline_ready()
        release(folder, "new claim")
        (page,) = folder.glob("assets/index-*.css")
        if fault == "missing":
            page.unlink()
        else:
            page.write_text("body { display: none }")
        failed = phone.page.evaluate(
            """async () => {
              const registration = await navigator.serviceWorker.ready;
              const found = new Promise(ok => registration.onupdatefound = () => {
                const worker = registration.installing;
                worker.onstatechange = () => ok(worker.state);
              });
              registration.update().catch(() => {});
              return found;
            }"""
        )
        assert failed == "redundant"
        phone.page.reload()
        assert phone.page.get_by_text("Sorted on this device").is_visible()
        assert phone.page.get_by_text("A new version").count() == 0
        assert len(phone.page.evaluate("caches.keys()")) == 1


def test_a_version_of_another_worker_alone_has_a_cache_of_its_own(
    npm: str, built: Path, tmp_path: Path
) -> None:
    web = tmp_path / "mobile_demo" / "web"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (web / "node_modules").symlink_to(WEB / "node_modules")
    (web.parent / "models").symlink_to(WEB.parent / "models")
    with (web / "src" / "sw.ts").open("a", encoding="utf-8") as worker:
        worker.write('self.addEventListener("sync", () => {});\n')
    build = [npm, "exec", "--", "vite", "build", "--logLevel", "warn", "--outDir", "built"]
    subprocess.run(build, cwd=web, check=True)
    before, after = ((folder / "sw.js").read_text() for folder in (built, web / "built"))
    assert re.findall(FILES, before) == re.findall(FILES, after)
    assert re.findall(VERSION, before) != re.findall(VERSION, after)


def test_a_host_that_redirects_index_html_keeps_the_page_openable(browser, built: Path) -> None:
    with Site(built, tidy=True) as site, Phone(browser, site) as phone:
        phone.offline_ready()
        phone.page.reload()
        phone.page.get_by_text("Ready for flight mode").wait_for()
        phone.context.set_offline(True)
        phone.page.reload()
        phone.page.get_by_role("button", name="Choose songs").wait_for()
        phone.check()


def release(folder: Path, claim: str) -> None:
    """Another version of the page, as a build would leave it: another script, of another name."""
    (script,) = folder.glob("assets/index-*.js")
    content = re.sub(r"Your songs by genre[^\"]*", claim, script.read_text(encoding="utf-8"))
    newer = script.with_name("index-newer.js")
    newer.write_text(content, encoding="utf-8")
    script.unlink()
    page = folder / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace(script.name, newer.name))
    worker = folder / "sw.js"
    code = worker.read_text(encoding="utf-8")
    files = json.loads(re.search(FILES, code)[0])  # type: ignore[index]
    names = [name.replace(script.name, newer.name) for name, _ in files]
    renewed = json.dumps([[name, integrity(folder / name)] for name in names])
    code = re.sub(FILES, lambda _: renewed, code)
    version = hashlib.sha256(renewed.encode()).hexdigest()[:16]
    worker.write_text(re.sub(VERSION, f'"{version}"', code), encoding="utf-8")


def integrity(file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
