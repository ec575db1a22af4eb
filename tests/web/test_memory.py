"""A large library takes no more memory than a small one."""

import os
import shutil
from pathlib import Path

import psutil
import pytest

from tests.web.phone import Phone, Site
from tests.web.songs import write_mixed_library

SONGS, SECONDS = 500, 40.0
ALLOWED = 1.15  # times what it was after a fifth of them


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_500_songs_in_the_memory_of_100(browser, site: Site, tmp_path: Path) -> None:
    originals = write_mixed_library(tmp_path / "originals", SECONDS)
    folder = tmp_path / "Music"
    folder.mkdir()
    files = []
    for number in range(SONGS):
        original = originals[number % len(originals)]
        files.append(folder / f"{number:03}{original.suffix}")
        shutil.copy(original, files[-1])
    profile = tmp_path / "profile"
    with Phone(browser, site, profile) as phone:
        phone.choose_files(files)
        peaks = [0.0] * 5  # of each fifth of the songs
        while phone.page.get_by_text("Done: ").count() == 0:
            done = int(phone.page.locator("progress").evaluate("bar => bar.value"))
            fifth = min(4, 5 * done // SONGS)
            peaks[fifth] = max(peaks[fifth], megabytes(profile))
            phone.page.wait_for_timeout(200)
        print("peak of each 100 songs, MB:", [round(peak) for peak in peaks])
        assert len(phone.songs()) == SONGS
        assert peaks[4] <= ALLOWED * max(peaks[0], peaks[1])
        phone.check()


def megabytes(profile: Path) -> float:
    """Of all processes of a browser together, each page counted once."""
    total = 0
    for process in psutil.process_iter(["cmdline"]):
        if any(os.fspath(profile) in part for part in process.info["cmdline"] or ()):
            family = [process, *process.children(recursive=True)]
            return sum(one.memory_full_info().uss for one in family) / 2**20
    return total
