"""Scan songs of hours: bounded memory, a page that answers, and an end at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser

from pocketgenre.demo.synthetic import write_audio
from tests.conftest import tone
from tests.web.long_songs import write_long
from tests.web.page_driver import PageServer, Phone
from tests.web.test_memory import megabytes

HOURS = 2 * 3_600.0
MAX_GROWTH_MB = 400
MAX_TASK_MS = 100
"""Longest task of the page's thread, in time on the processor."""

FORMATS: dict[str, tuple[str, str, dict[str, str]]] = {
    "stated.webm": ("libopus", "webm", {}),
    "live.webm": ("libopus", "webm", {"live": "1"}),
    "pages.opus": ("libopus", "ogg", {}),
    "stated.mp3": ("libmp3lame", "mp3", {}),
    "no Xing.mp3": ("libmp3lame", "mp3", {"write_xing": "0"}),
    "frames.aac": ("aac", "adts", {}),
    "stated.mka": ("libmp3lame", "matroska", {}),
}
"""By file name: encoder, container and its options."""


@contextmanager
def peak_memory(profile: Path) -> Iterator[list[float]]:
    """Measure a browser's memory, and yield a list with its peak [MB]."""
    peak = [0.0]
    ended = threading.Event()

    def measure() -> None:
        while not ended.is_set():
            try:
                peak[0] = max(peak[0], megabytes(profile))
            except psutil.Error:
                continue  # a process of the browser has ended
            ended.wait(0.2)

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


@contextmanager
def page_tasks(phone: Phone) -> Iterator[list[float]]:
    """Trace the page, and yield a list that holds its tasks at the end, in ms on the processor."""
    session = phone.context.new_cdp_session(phone.page)
    events: list[dict[str, Any]] = []
    completed: list[bool] = []
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    session.on("Tracing.tracingComplete", lambda _: completed.append(True))
    config = {
        "includedCategories": ["toplevel", "__metadata"],
        "recordMode": "recordAsMuchAsPossible",
    }
    session.send("Tracing.start", {"traceConfig": config, "transferMode": "ReportEvents"})
    tasks: list[float] = []
    yield tasks
    session.send("Tracing.end")
    while not completed:
        phone.page.wait_for_timeout(50)  # lets the events arrive
    page_threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks += [
        event["tdur"] / 1_000
        for event in events
        if "tdur" in event and (event["pid"], event["tid"]) in page_threads
    ]


@pytest.mark.long
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", [*FORMATS, "silent.flac", "pcm.wav"])
def test_hours_are_sampled_in_bounded_memory(
    browser: Browser, server: PageServer, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name in FORMATS:
        codec, container, options = FORMATS[name]
        write_long(path, codec, container, HOURS, **options)
    else:
        silent = name == "silent.flac"
        write_audio(path, tone(440.0, HOURS, 8_000) * (not silent), 8_000)
    profile = tmp_path / "profile"
    with Phone(browser, server, profile) as phone:
        phone.use_model("standard")
        before = megabytes(profile)
        with peak_memory(profile) as peak, page_tasks(phone) as tasks:
            phone.choose_files([path])
            phone.page.get_by_text("Done: ").wait_for(timeout=1_000_000)
        (song,) = phone.songs().values()
        phone.check()
    print(f"{name}: {peak[0] - before:.0f} MB above {before:.0f} MB, task {max(tasks):.0f} ms")
    assert peak[0] - before <= MAX_GROWTH_MB
    assert max(tasks) <= MAX_TASK_MS
    if name == "silent.flac":
        assert song["error"] == "it holds only silence"
    else:
        assert song["error"] is None
        assert song["analyzedSeconds"] == pytest.approx(1_200, abs=1)
        assert song["durationSeconds"] == pytest.approx(HOURS, abs=5)


@pytest.fixture
def mix(tmp_path: Path) -> Path:
    """Write a song of 19 minutes."""
    return write_long(tmp_path / "mix.mp3", "libmp3lame", "mp3", 19 * 60.0)


def wait_for_share(phone: Phone, share: float) -> None:
    """Wait until a share of the first song is classified."""
    phone.page.wait_for_function(
        "share => document.querySelector('progress').value >= share", arg=share
    )


def test_page_answers_during_song(phone: Phone, mix: Path) -> None:
    phone.use_model("standard")
    with page_tasks(phone) as tasks:
        phone.choose_files([mix])
        wait_for_share(phone, 0.2)
    print(f"longest of {len(tasks)} tasks: {max(tasks):.0f} ms")
    assert max(tasks) <= MAX_TASK_MS


def test_stop_ends_song_in_progress(phone: Phone, mix: Path) -> None:
    phone.choose_files([mix])
    wait_for_share(phone, 0.01)
    phone.press("Stop")
    phone.wait_for_text("Stopped after 0 songs")
    assert phone.songs() == {}
    phone.page.get_by_role("button", name="Scan 1 more song").wait_for()


def test_pause_holds_song_in_progress(phone: Phone, mix: Path) -> None:
    phone.choose_files([mix])
    wait_for_share(phone, 0.01)
    phone.press("Pause")
    phone.page.get_by_role("heading", name="Paused").wait_for()
    progress = phone.page.locator("progress")
    paused = progress.evaluate(
        """async bar => {
          let value, steady = 0;
          while (steady < 10) {  // the slice in progress ends
            steady = bar.value === value ? steady + 1 : 0;
            value = bar.value;
            await new Promise(ok => setTimeout(ok, 100));
          }
          return value;
        }"""
    )
    assert 0 < paused < 1
    phone.press("Continue")
    wait_for_share(phone, paused + 0.01)
