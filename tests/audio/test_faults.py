"""Raise errors of the file system, of signal handlers and of wrong arguments."""

import contextlib
import errno
import gzip
import io
import mmap
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from pocketgenre.audio.decoding import UnreadableError, stream_mono
from pocketgenre.audio.seeking import seek_segments
from pocketgenre.audio.source import open_song
from pocketgenre.demo.synthetic import write_aac, write_audio
from pocketgenre.errors import AudioError
from pocketgenre.features.config import MFCC_CONFIG
from tests.conftest import tone

SUFFIXES = ["wav", "flac", "mp3", "ogg", "m4a"]


@pytest.fixture(params=SUFFIXES)
def song(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"song.{request.param}"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (20 * 44_100, 2)).astype(np.float32)
    (write_aac if request.param == "m4a" else write_audio)(path, noise, 44_100)
    return path


class Interrupted(BaseException):
    """Raised by a signal handler."""


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Raise Interrupted from a signal handler, as Ctrl-C raises KeyboardInterrupt."""

    def handle(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, handle)
    yield lambda: os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


class FaultyFile(io.BytesIO):
    """File whose reads call a function after the first 200 kB."""

    def __init__(self, content: bytes, fail: Callable[[], object]) -> None:
        super().__init__(content)
        self.fail = fail

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 200_000:
            self.fail()
        return super().read(size)


def test_exception_of_signal_handler_is_raised(song: Path, interrupt: Callable[[], None]) -> None:
    with pytest.raises(Interrupted):
        list(stream_mono(FaultyFile(song.read_bytes(), interrupt), 22_050))


@pytest.mark.parametrize("kind", ["path", "file"])
def test_exception_of_asynchronous_signal_is_raised(
    song: Path, interrupt: Callable[[], None], kind: str
) -> None:
    done = threading.Event()

    def send_signal(delay: float) -> None:
        time.sleep(delay)
        if not done.is_set():
            interrupt()

    length = sum(map(len, stream_mono(song, 22_050)))
    for trial in range(8):
        done.clear()
        thread = threading.Thread(target=send_signal, args=(0.002 + 0.006 * trial,))
        source = song if kind == "path" else io.BytesIO(song.read_bytes())
        decoded = 0
        try:
            thread.start()
            decoded = sum(map(len, stream_mono(source, 22_050)))
            done.set()
            thread.join()
        except Interrupted:
            thread.join()
            continue
        assert decoded == length


def test_read_error_is_transient(song: Path) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for use in (
        lambda file: list(stream_mono(file, 22_050)),
        lambda file: list(seek_segments(file, MFCC_CONFIG, 2)),
    ):
        with pytest.raises(UnreadableError, match="cannot be read: Input/output error"):
            use(FaultyFile(song.read_bytes(), fail))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc/self/fd")
def test_descriptor_that_fails_is_transient(song: Path, tmp_path: Path) -> None:
    """Replace the descriptor of the song with one of a folder, whose reads fail."""
    blocks = stream_mono(song, 22_050)
    next(blocks)
    folder = os.open(tmp_path, os.O_RDONLY)
    for link in Path("/proc/self/fd").iterdir():
        if link.exists() and link.samefile(song):
            os.dup2(folder, int(link.name))
    os.close(folder)
    with pytest.raises(UnreadableError, match="cannot be read: Is a directory"):
        list(blocks)


def test_non_finite_samples_do_not_end_a_song() -> None:
    samples = tone(440.0, 12.0)
    samples[200_000] = np.nan
    with pytest.raises(AudioError, match="some samples are not finite") as caught:
        list(stream_mono((samples, 22_050), 22_050))
    assert caught.type is AudioError


def closed(path: Path) -> io.BytesIO:
    file = io.BytesIO(path.read_bytes())
    file.close()
    return file


# ruff: noqa: SIM115  # the tests close these files
WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "closed file": (closed, "is closed"),
    "null character": (lambda p: f"{p}\0", "no path can contain"),
    "unpaired surrogate": (lambda p: f"{p}\ud800", "no path can contain"),
    "one value": (lambda p: (np.zeros(9),), "a song is a path"),
    "three values": (lambda p: (np.zeros(9), 22_050, 1), "a song is a path"),
    "rows of different lengths": (lambda p: ([[0.1], [0.1, 0.2]], 22_050), "samples must be"),
    "rate that is no number": (lambda p: (np.zeros(9), "22050"), "sample rate must be a number"),
    "rate that is missing": (lambda p: (np.zeros(9), None), "sample rate must be a number"),
    "rate that is NaN": (lambda p: (np.zeros(9), float("nan")), "sample rate of nan"),
    "text": (lambda p: open(p, encoding="latin-1"), "not a file of text"),
    "temporary text": (lambda p: tempfile.NamedTemporaryFile("w+"), "not a file of text"),
    "file for writing": (lambda p: open(p.with_suffix(".new"), "wb"), "opened for reading"),
    "temporary file for writing": (lambda p: tempfile.NamedTemporaryFile("wb"), "for reading"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_sources_raise_sentences(tmp_path: Path, name: str) -> None:
    make, reason = WRONG[name]
    path = tmp_path / "song.wav"
    write_audio(path, tone(440.0, 2.0), 22_050)
    source = make(path)
    with pytest.raises((TypeError, AudioError), match=reason):
        list(stream_mono(source, 22_050))
    if hasattr(source, "close"):
        source.close()


def test_any_binary_file_is_decoded(song: Path) -> None:
    expected = np.concatenate(list(stream_mono(song, 22_050)))
    packed = song.with_suffix(".gz")
    packed.write_bytes(gzip.compress(song.read_bytes(), 1))
    with open(song, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for source in (file, mapped):
            np.testing.assert_array_equal(
                np.concatenate(list(stream_mono(source, 22_050))), expected
            )
    with gzip.open(packed) as file, tempfile.NamedTemporaryFile() as temporary:
        np.testing.assert_array_equal(np.concatenate(list(stream_mono(file, 22_050))), expected)
        temporary.write(song.read_bytes())
        np.testing.assert_array_equal(
            np.concatenate(list(stream_mono(temporary, 22_050))), expected
        )


def test_log_level_of_ffmpeg_is_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_aac(tmp_path / "song.m4a", tone(440.0, 2.0, 44_100, 2), 44_100)
    content = bytearray((tmp_path / "song.m4a").read_bytes())
    content[2_000:6_000] = bytes(4_000)
    (tmp_path / "song.m4a").write_bytes(content)
    before = av.logging.get_level()
    with contextlib.suppress(AudioError):
        list(stream_mono(tmp_path / "song.m4a", 22_050))
    assert av.logging.get_level() == before
    assert capfd.readouterr().err == ""


def test_file_objects_stay_open_after_errors() -> None:
    file = io.BytesIO(b"not music" * 1_000)
    with pytest.raises(AudioError, match="not audio"):
        list(stream_mono(file, 22_050))
    with open_song(file) as opened:
        assert opened.size == 9_000
