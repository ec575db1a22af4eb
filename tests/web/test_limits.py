"""Scan songs that exceed a phone's memory or crash the page."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from pocketgenre.demo.synthetic import write_aac, write_audio
from tests.audio.test_whole_songs import encode
from tests.conftest import REPOSITORY, tone, write_tone
from tests.web.conftest import build_copy, copy_sources
from tests.web.page_driver import PageServer, Phone

OUT_OF_MEMORY = """
  AudioData.prototype.copyTo = () => { throw new RangeError("Array buffer allocation failed") };
"""
SHORT_LIMITS = {"max_page_song_seconds": 6, "page_excerpt_seconds": 3}
NO_AUDIO_DECODER = "delete self.AudioDecoder;"


def patch_worker(site: Path, script: str) -> None:
    """Run a script in the page's worker before the worker's own."""
    (worker,) = site.glob("assets/inference-worker-*.js")
    worker.write_text(script + worker.read_text(encoding="utf-8"), encoding="utf-8")


def test_song_out_of_memory_fails_only_itself(
    browser: Browser, built: Path, tmp_path: Path
) -> None:
    """Only the compressed song is decoded to an AudioData."""
    site = Path(shutil.copytree(built, tmp_path / "site"))
    patch_worker(site, OUT_OF_MEMORY)
    large = write_tone(tmp_path / "1 large.flac", 20.0, 44_100)
    small = write_tone(tmp_path / "2 small.wav", 6.5, 44_100)
    with PageServer(site) as server, Phone(browser, server) as phone:
        phone.scan([large, small])
        songs = phone.songs()
        assert songs[large.name]["error"] == "cannot be classified: Array buffer allocation failed"
        assert songs[small.name]["error"] is None


@pytest.fixture
def short_page(npm: str, tmp_path: Path) -> Path:
    """Build the page with a limit of 6 s instead of 20 minutes, and excerpts of 3 s."""
    web = copy_sources(tmp_path / "sources")
    package = tmp_path / "sources" / "pocketgenre"
    package.unlink()
    package.mkdir()
    for entry in (REPOSITORY / "pocketgenre").iterdir():
        (package / entry.name).symlink_to(entry)
    constants = package / "constants.json"
    values = json.loads(constants.read_text(encoding="utf-8"))
    constants.unlink()
    constants.write_text(json.dumps(values | SHORT_LIMITS), encoding="utf-8")
    return build_copy(npm, web)


@pytest.fixture
def mixes(tmp_path: Path) -> list[Path]:
    """Write 15.5 s of noise in seven formats."""
    files = [
        tmp_path / f"mix.{suffix}" for suffix in ("wav", "flac", "mp3", "ogg", "aac", "mka", "webm")
    ]
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (31 * 24_000, 2)).astype(np.float32)
    for file in files[:4]:
        write_audio(file, noise, 48_000)
    encode(files[4], noise, "aac", "adts", 48_000)
    encode(files[5], noise, "libmp3lame", "matroska", 48_000)
    encode(files[6], noise, "libopus", "webm", 48_000, muxer={"live": "1"})
    return files


def write_book(folder: Path) -> Path:
    """Write a song of 5 s whose header states ten hours."""
    book = folder / "book.m4a"
    write_aac(book, tone(300.0, 5.0, 44_100, 2), 44_100)
    state_mp4_seconds(book, 36_000)
    return book


def scan_songs(browser: Browser, page: Path, songs: list[Path]) -> dict[str, dict]:
    with PageServer(page) as server, Phone(browser, server) as phone:
        phone.use_model("standard")
        phone.scan(songs)
        results = phone.songs()
        phone.check()
    return results


def test_long_songs_are_sampled(
    browser: Browser, short_page: Path, mixes: list[Path], tmp_path: Path
) -> None:
    """The first and the last of five segments are classified."""
    book = write_book(tmp_path)
    songs = scan_songs(browser, short_page, [*mixes, book])
    for mix in mixes:
        song = songs[mix.name]
        assert song["error"] is None
        assert song["partial"] is True
        assert song["analyzedSeconds"] == pytest.approx(6.0, abs=0.1)
        assert song["durationSeconds"] == pytest.approx(15.5, abs=0.1)
        rows = np.array(song["probabilities"]).reshape(-1, 10)
        assert rows.any(axis=1).tolist() == [True, False, False, False, True]
    assert songs[book.name]["analyzedSeconds"] == pytest.approx(5.0, abs=0.1)
    assert songs[book.name]["durationSeconds"] == pytest.approx(36_000)
    assert songs[book.name]["partial"] is True


def test_browser_without_audio_decoder_cuts_songs(
    browser: Browser, short_page: Path, mixes: list[Path], tmp_path: Path
) -> None:
    """It decodes songs as a whole, as Safari before version 26; only WAV needs no decoder."""
    patch_worker(short_page, NO_AUDIO_DECODER)
    songs = scan_songs(browser, short_page, [*mixes, write_book(tmp_path)])
    assert songs["book.m4a"]["error"] == "too long: 600 minutes, the limit is 0.1 minutes"
    for mix in mixes:
        song, coarse = songs[mix.name], 5.1 if mix.suffix in (".mka", ".webm") else 1.1
        assert song["error"] is None
        assert song["partial"] is True
        assert song["analyzedSeconds"] == pytest.approx(6.0, abs=coarse)
        assert song["durationSeconds"] == pytest.approx(15.5, abs=coarse)


def state_mp4_seconds(path: Path, seconds: int) -> None:
    content = bytearray(path.read_bytes())
    header = content.index(b"mdhd")
    scale = int.from_bytes(content[header + 16 : header + 20], "big")
    content[header + 20 : header + 24] = (seconds * scale).to_bytes(4, "big")
    path.write_bytes(content)


def record_crashes(phone: Phone, path: str, count: int) -> None:
    """Store the attempts that remain if the browser closes the page during a song."""
    phone.in_database(
        """async (db, [path, count]) => {
          const store = db.transaction("attempts", "readwrite").objectStore("attempts");
          const put = store.put(count, path);
          await new Promise(ok => put.onsuccess = ok);
        }""",
        [path, count],
    )


def test_repeated_crash_skips_song_until_retry(phone: Phone, album: list[Path]) -> None:
    """A retry repeats only the failed songs of the selected model."""
    phone.use_model("standard")
    phone.scan(album)
    phone.use_model("best")
    record_crashes(phone, album[0].name, 3)
    phone.scan(album)
    failed = [song for song in phone.stored_songs() if song["error"]]
    assert [song["path"] for song in failed] == [album[0].name]
    assert "closed this page" in failed[0]["error"]
    phone.press("Try these again")
    phone.wait_until_done()
    assert [song["error"] for song in phone.stored_songs()] == [None] * 8
