"""Render the report page, and show hostile names as text."""

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre.confidence import ConfidenceModel, SongEvidence
from pocketgenre.constants import NOT_MUSIC
from pocketgenre.library.html_report import make_report
from pocketgenre.library.library_song import LibrarySong, genres_of
from pocketgenre.library.tags.metadata import Metadata
from pocketgenre.prediction import DEFAULT_LABELS, LabelConfig, SongAnalysis, predict_song
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
    name, group, confidence, top, seconds, windows, error, winner, partial = data["songs"][0]
    assert (name, confidence, seconds, error, partial) == ("a.mp3", 0.5, 60, None, 0)
    assert data["genres"][winner] in ("blues", "rock")
    assert group == len(data["genres"])
    assert top[0][1] == top[1][1] == 0.5
    assert len(windows) == 4 * len(data["genres"])
    assert windows[0] == "_"  # blues: probability 1
    assert windows[-1] == "_"  # rock: probability 1
    assert len(data["songs"][1][5]) <= 49 * len(data["genres"])
    assert data["songs"][3][1] == len(data["genres"]) + 1


LABELS = ("blues", NOT_MUSIC, "jazz", "rock")
CALIBRATION = ConfidenceModel(-2.0, SongEvidence(0.5, 2.0, 0.5, 0.1), min_confidence=0.6)


def analyzed_song(name: str, labels: Sequence[str | None], **analysis: object) -> LibrarySong:
    """Return a song with a segment of each label, None for a silent one; 0.7 is the label's."""
    table = np.zeros((len(labels), len(LABELS)), np.float32)
    for row, label in enumerate(labels):
        if label is not None:
            table[row] = 0.1
            table[row, LABELS.index(label)] = 0.7
    prediction = predict_song(
        SongAnalysis(table, **analysis), LABELS, DEFAULT_LABELS, 3.0, CALIBRATION
    )
    path = Path("/music", name)
    return LibrarySong(path, Path(name), "labelled", 1, 1, "0" * 64, prediction, None)


def calibrated_songs() -> list[LibrarySong]:
    """Return an uncertain song, two of a genre, one without music, and a partial one."""
    return [
        analyzed_song("mixed.mp3", ["blues", "jazz", "jazz", "rock", "rock", "jazz"]),
        analyzed_song("quiet start.mp3", [None] * 10 + ["rock"] * 20),
        analyzed_song("rock.mp3", ["rock"] * 8),
        analyzed_song("talk.mp3", [NOT_MUSIC] * 6),
        analyzed_song(
            "cut.mp3", ["rock"] * 10, analyzed_seconds=30, duration_seconds=225, is_partial=True
        ),
    ]


def test_page_data_has_winner_and_partial_durations() -> None:
    data = Page(page_of(*calibrated_songs())).data
    assert data["not_music"] == LABELS.index(NOT_MUSIC)
    groups = [row[1] for row in data["songs"]]
    rock = LABELS.index("rock")
    assert groups == [len(LABELS), rock, rock, data["not_music"], rock]
    assert [LABELS[row[7]] for row in data["songs"]] == ["jazz", "rock", "rock", NOT_MUSIC, "rock"]
    assert [row[8] for row in data["songs"]] == [0, 0, 0, 0, [30, 225]]
    assert Page(page_of(song("/music/a.mp3"))).data["not_music"] == -1


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_browser_shows_uncertain_partial_and_no_music(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(page_of(*calibrated_songs()))
    dom = dom_in_browser(file, tmp_path / "profile")
    counts = "5 songs · 3 with a genre · 1 uncertain · 1 without music · 1 partial"
    assert counts in dom
    assert re.findall(r'<section aria-label="([^"]*)"', dom) == [
        "uncertain",
        "rock",
        "without music",
    ]
    confidence = calibrated_songs()[0].prediction.confidence
    assert f"most likely jazz, {confidence:.0%}".replace("%", "&nbsp;%") in dom
    assert "partial: 0:30 of 3:45 classified" in dom
    assert 'aria-label="Timeline: no music from 0:00"' in dom
    assert dom.count('aria-label="Timeline: rock from 0:00"') == 3


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


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_browser_shows_overview_by_genre_folder_and_decade(tmp_path: Path) -> None:
    songs = [
        replace(song("/music/a/1.mp3", ["rock"]), metadata=Metadata(year=1984)),
        replace(song("/music/a/2.mp3", ["jazz"]), metadata=Metadata(year=1959)),
        replace(song("/music/b/3.mp3", ["rock"]), metadata=Metadata(year=1989)),
        song("/music/b/4.mp3", ["rock", "jazz"], label_config=THRESHOLD),
    ]
    file = tmp_path / "report.html"
    file.write_bytes(page_of(*songs))
    overview = dom_in_browser(file, tmp_path / "profile").partition('id="overview"')[2]
    overview = overview.partition("</section>")[0]
    charts = [re.sub("<[^>]*>", " ", chart).split() for chart in overview.split("<h2>")[1:]]
    assert charts == [
        ["By", "genre", "rock", "2", "jazz", "1", "uncertain", "1"],
        ["By", "folder", "a", "2", "b", "2"],
        ["By", "decade", "1950s", "1", "1980s", "2"],
    ]
    assert overview.count('class="unsure"') == 2
