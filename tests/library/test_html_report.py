"""Render the report page, and show hostile names as text."""

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgenre.library.html_report import make_report
from pocketgenre.library.library_song import LibrarySong, genres_of
from pocketgenre.prediction import LabelConfig
from pocketgenre.text import printable
from tests.library.songs import NAMES, failed_song, song

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = [
    "</script><script>document.title='HARMED'</script>.mp3",
    "<img src=x onerror=\"document.title='HARMED'\">.mp3",
    "<!--<script>.mp3",
    "{{data}}{{script}}.mp3",
    "&lt;b&gt;&amp;.mp3",
    "new\nline\u202egnp \udcff\x1b[31m.mp3",
]
THRESHOLD = LabelConfig(min_margin=0.1)


class Page(HTMLParser):
    """The tags of a page, and the content of its scripts, styles and title."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.feed(content.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in self.inside:
            self.inside[self.tags[-1][0]].append(data)
            self.tags.append(("", {}))

    @property
    def data(self) -> dict:
        return json.loads(self.inside["script"][0])


def page_of(*songs: LibrarySong, title: str = "Music") -> bytes:
    return make_report(songs, genres_of(songs), title)


def test_page_loads_nothing_and_runs_one_script() -> None:
    content = page_of(*[song(f"/music/{name}") for name in HOSTILE], title="</title><script>")
    page = Page(content)
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv")]
    allowed = set(re.findall(r"'sha256-([^']+)'", str(policy)))
    digests = {
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (page.inside["script"][1], page.inside["style"][0])
    }
    assert allowed == digests
    assert str(policy).startswith("default-src 'none';")
    assert "unsafe" not in str(policy)
    assert [a.get("type") for tag, a in page.tags if tag == "script"] == ["application/json", None]
    links = [a for _, a in page.tags if {"src", "href", "style", "onerror"} & set(a)]
    assert links == []
    assert "http" not in content.decode().replace("http://www.w3.org/2000/svg", "").replace(
        "http-equiv", ""
    )


@settings(deadline=None)  # the machine may be busy
@given(st.lists(NAMES | st.sampled_from(HOSTILE), max_size=4), st.text(), st.text())
def test_names_titles_and_errors_are_data(names: list[str], title: str, error: str) -> None:
    content = page_of(
        *[song(f"/music/{name}") for name in names], failed_song("/music/z", error), title=title
    )
    page = Page(content)
    tags = [tag for tag, _ in page.tags if tag]
    assert tags == [tag for tag, _ in Page(page_of(song("/music/a"))).tags if tag]
    shown = [row[0] for row in page.data["songs"]]
    assert shown == [*map(printable, names), "z"]
    assert page.data["songs"][-1][6] == (printable(error) or "it could not be classified")
    assert page.data["title"] == printable(title)
    assert html.unescape("".join(page.inside["title"])) == f"Genres – {printable(title)}"


def test_page_data_has_probabilities_by_window() -> None:
    songs = [
        song("/music/a.mp3", ["blues"] * 10 + ["rock"] * 10, label_config=THRESHOLD),
        song("/music/long.mp3", ["jazz"] * 3600, label_config=THRESHOLD),
        song("/music/uncertain.mp3", ["jazz", "pop"], label_config=THRESHOLD),
        failed_song("/music/bad.mp3"),
    ]
    data = Page(page_of(*songs)).data
    # Both genres have ten votes and the same probability: the song is uncertain.
    name, group, confidence, top, seconds, windows, error = data["songs"][0]
    assert (name, confidence, seconds, error) == ("a.mp3", 0.5, 60, None)
    assert group == len(data["genres"])
    assert top[0][1] == top[1][1] == 0.5
    assert len(windows) == 4 * len(data["genres"])
    assert windows[0] == "_"  # blues: probability 1
    assert windows[-1] == "_"  # rock: probability 1
    assert len(data["songs"][1][5]) <= 49 * len(data["genres"])
    assert data["songs"][3][1] == len(data["genres"]) + 1


def test_page_of_ten_thousand_songs_is_small() -> None:
    songs = [song("/music/a.mp3", ["rock"] * 80)] * 10_000
    assert len(make_report(songs, genres_of(songs), "Music")) < 3_000_000


def dom_in_browser(file: Path, profile: Path, search: str = "") -> str:
    """Return the page in Chromium after its script ran."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={profile}", "--virtual-time-budget=3000",
        "--window-size=390,844", "--dump-dom", f"{file.as_uri()}#search={search}",
    ]  # fmt: skip
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=True, env={**os.environ}
    ).stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_browser_shows_and_finds_songs(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    songs = [song(f"/music/album {i}/{name}", ["rock"]) for i, name in enumerate(HOSTILE)]
    songs += [song("/music/Björk/Jóga.mp3", ["pop"] * 9), failed_song("/music/empty.mp3")]
    file.write_bytes(page_of(*songs))
    dom = dom_in_browser(file, tmp_path / "profile")
    assert "<title>Genres – Music</title>" in dom
    assert "<img" not in dom
    assert dom.count("<details>") == 7
    assert "the file is empty" in dom
    assert "8 songs · 7 with a genre · 1 could not be labelled" in dom
    assert 'aria-label="Timeline: pop from 0:00"' in dom
    shown = [html.unescape(name) for name in re.findall(r'class="name"[^>]*>([^<]*)<', dom)]
    assert "&lt;b&gt;&amp;.mp3" in shown
    found = dom_in_browser(file, tmp_path / "profile", "joga%20bjork")
    assert "1 song found" in found
    assert found.count("<details>") == 1
