"""Measure the memory of a long scan."""

import os
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser

from tests.web.mixed_library import write_mixed_library
from tests.web.page_driver import PageServer, Phone

SONGS, SECONDS = 500, 40.0
MAX_GROWTH = 1.15
"""Largest peak over the last fifth of the songs, as a multiple of that over the first two."""


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_long_scan_uses_constant_memory(
    browser: Browser, server: PageServer, tmp_path: Path
) -> None:
    originals = write_mixed_library(tmp_path / "originals", SECONDS)
    folder = tmp_path / "Music"
    folder.mkdir()
    files = []
    for number in range(SONGS):
        original = originals[number % len(originals)]
        files.append(folder / f"{number:03}{original.suffix}")
        # Bytes behind the end make each copy another song, which is classified again.
        files[-1].write_bytes(original.read_bytes() + number.to_bytes(2, "little"))
    profile = tmp_path / "profile"
    with Phone(browser, server, profile) as phone:
        phone.choose_files(files)
        peaks = [0.0] * 5  # one per fifth of the songs
        while phone.page.get_by_text("Done: ").count() == 0:
            done = int(phone.page.locator("progress").evaluate("bar => bar.value"))
            fifth = min(4, 5 * done // SONGS)
            peaks[fifth] = max(peaks[fifth], megabytes(profile))
            phone.page.wait_for_timeout(200)
        print("peak of each 100 songs, MB:", [round(peak) for peak in peaks])
        assert len(phone.songs()) == SONGS
        assert peaks[4] <= MAX_GROWTH * max(peaks[0], peaks[1])
        phone.check()


def megabytes(profile: Path) -> float:
    """Return the memory of all processes of a browser, with shared pages counted once."""
    for process in psutil.process_iter(["cmdline"]):
        if any(os.fspath(profile) in part for part in process.info["cmdline"] or ()):
            family = [process, *process.children(recursive=True)]
            return sum(member.memory_full_info().uss for member in family) / 2**20
    return 0.0
