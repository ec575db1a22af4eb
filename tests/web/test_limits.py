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

LIMIT_ARRAYS = """
  self.Float32Array = new Proxy(Float32Array, {
    construct(kind, given, self) {
      if (given[0] > 500_000) throw new RangeError("Array buffer allocation failed");
      return Reflect.construct(kind, given, self);
    },
  });
"""


def test_song_out_of_memory_fails_only_itself(
    browser: Browser, built: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(built, site)
    (worker,) = site.glob("assets/inference-worker-*.js")
    worker.write_text(LIMIT_ARRAYS + worker.read_text(encoding="utf-8"), encoding="utf-8")
    long = write_tone(tmp_path / "1 long.wav", 20.0, 44_100)
    short = write_tone(tmp_path / "2 short.wav", 6.5, 44_100)
    with PageServer(site) as server, Phone(browser, server) as phone:
        phone.scan([long, short])
        songs = phone.songs()
        assert songs[long.name]["error"] == "cannot be classified: Array buffer allocation failed"
        assert songs[short.name]["error"] is None


@pytest.fixture
def short_page(npm: str, tmp_path: Path) -> Path:
    """Build the page with a limit of 6 s instead of 20 minutes."""
    web = copy_sources(tmp_path / "sources")
    package = tmp_path / "sources" / "pocketgenre"
    package.unlink()
    package.mkdir()
    for entry in (REPOSITORY / "pocketgenre").iterdir():
        (package / entry.name).symlink_to(entry)
    constants = package / "constants.json"
    values = json.loads(constants.read_text(encoding="utf-8"))
    constants.unlink()
    constants.write_text(json.dumps(values | {"max_page_song_seconds": 6}), encoding="utf-8")
    return build_copy(npm, web)


def test_too_long_songs_are_cut_or_rejected(
    browser: Browser, short_page: Path, tmp_path: Path
) -> None:
    surround = tmp_path / "surround.wav"
    write_audio(surround, tone(300.0, 5.0, 48_000, 8), 48_000)
    mixes = [tmp_path / f"mix.{suffix}" for suffix in ("wav", "flac", "mp3", "ogg", "aac", "mka")]
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (15 * 44_100, 2)).astype(np.float32)
    for mix in mixes[:4]:
        write_audio(mix, noise, 44_100)
    encode(mixes[4], noise, "aac", "adts")
    encode(mixes[5], noise, "libmp3lame", "matroska")
    book = tmp_path / "book.m4a"
    write_aac(book, tone(300.0, 5.0, 44_100, 2), 44_100)
    state_mp4_seconds(book, 36_000)
    with PageServer(short_page) as server, Phone(browser, server) as phone:
        phone.use_model("standard")
        phone.scan([surround, *mixes, book])
        songs = phone.songs()
        phone.check()
    assert songs["book.m4a"]["error"] == "too long: 600 minutes, the limit is 0.1 minutes"
    assert songs["surround.wav"]["analyzedSeconds"] == pytest.approx(1.5, abs=0.1)
    assert songs["surround.wav"]["durationSeconds"] == pytest.approx(5.0, abs=0.1)
    for mix in mixes:
        song, coarse = songs[mix.name], 5.1 if mix.suffix == ".mka" else 1.1
        assert song["error"] is None
        assert song["partial"] is True
        assert song["analyzedSeconds"] == pytest.approx(6.0, abs=coarse)
        assert song["durationSeconds"] == pytest.approx(15.0, abs=coarse)


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
