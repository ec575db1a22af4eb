"""Songs that are too much for a phone are refused, one by one."""

import shutil
import struct
from pathlib import Path

from tests.conftest import write_tone
from tests.web.phone import Phone, Site

NO_ROOM = """
  self.Float32Array = new Proxy(Float32Array, {
    construct(kind, given, self) {
      if (given[0] > 500_000) throw new RangeError("Array buffer allocation failed");
      return Reflect.construct(kind, given, self);
    },
  });
"""


def test_a_song_that_finds_no_memory_leaves_the_others_to_be_heard(
    browser, built: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    shutil.copytree(built, folder)
    (worker,) = folder.glob("assets/worker-*.js")
    worker.write_text(NO_ROOM + worker.read_text(encoding="utf-8"), encoding="utf-8")
    long = write_tone(tmp_path / "1 long.wav", 20.0, 44_100)
    short = write_tone(tmp_path / "2 short.wav", 6.5, 44_100)
    with Site(folder) as site, Phone(browser, site) as phone:
        phone.choose_files([long, short])
        phone.finish()
        songs = phone.songs()
        assert songs[long.name]["error"] == "it cannot be heard: Array buffer allocation failed"
        assert songs[short.name]["error"] is None


def test_a_sound_too_large_once_decoded_is_refused(phone: Phone, tmp_path: Path) -> None:
    """Eight channels at 96 kHz: short enough and small enough, but not for a phone's memory."""
    path = tmp_path / "surround.wav"
    write_empty_wav(path, seconds=160, rate=96_000, channels=8)
    phone.choose_files([path])
    phone.finish()
    assert phone.songs()["surround.wav"]["error"] == (
        "too large once decoded: 469 MB, this page takes up to 439 MB"
    )


def write_empty_wav(path: Path, seconds: int, rate: int, channels: int) -> None:
    """A WAV of 8 bits whose samples take no room on the disk."""
    size = seconds * rate * channels
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels, channels, 8)
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form
    with path.open("wb") as file:
        file.write(head + b"data" + struct.pack("<I", size))
        file.truncate(file.tell() + size)
