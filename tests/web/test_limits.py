"""Scan songs that exceed a phone's memory or crash the page."""

import shutil
import struct
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from pocketgenre.demo.synthetic import write_aac, write_audio
from tests.conftest import tone, write_tone
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


def test_too_long_songs_are_cut_or_rejected(phone: Phone, tmp_path: Path) -> None:
    surround = tmp_path / "surround.wav"  # short, and small as a file
    write_empty_wav(surround, seconds=160, rate=96_000, channels=8)
    mixes = [tmp_path / f"mix.{suffix}" for suffix in ("wav", "flac", "mp3", "ogg")]
    for mix in mixes:
        write_audio(mix, tone(300.0, 21 * 60, 8_000), 8_000)
    book = tmp_path / "book.m4a"
    write_aac(book, tone(300.0, 5.0, 44_100, 2), 44_100)
    state_mp4_seconds(book, 36_000)
    phone.scan([surround, *mixes, book])
    songs = phone.songs()
    assert songs["surround.wav"]["error"] == "it holds only silence"  # its start was decoded
    assert songs["book.m4a"]["error"] == "too long: 600 minutes, the limit is 20 minutes"
    for mix in mixes:
        song = songs[mix.name]
        assert song["error"] is None
        assert song["partial"] is True
        assert song["analyzedSeconds"] == pytest.approx(20 * 60, abs=2)
        assert song["durationSeconds"] == pytest.approx(21 * 60, abs=2)


def state_mp4_seconds(path: Path, seconds: int) -> None:
    content = bytearray(path.read_bytes())
    header = content.index(b"mdhd")
    scale = int.from_bytes(content[header + 16 : header + 20], "big")
    content[header + 20 : header + 24] = (seconds * scale).to_bytes(4, "big")
    path.write_bytes(content)


def write_empty_wav(path: Path, seconds: int, rate: int, channels: int) -> None:
    """Write a WAV with 8 bits per sample as a sparse file."""
    size = seconds * rate * channels
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels, channels, 8)
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form
    with path.open("wb") as file:
        file.write(head + b"data" + struct.pack("<I", size))
        file.truncate(file.tell() + size)


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
