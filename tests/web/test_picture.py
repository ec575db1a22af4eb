"""Draw the library as a picture that a phone shows in readable size."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.conftest import write_tone
from tests.web.page_driver import PageServer, Phone
from tests.web.rule_calls import RuleCalls

WIDTH = 1_080
PHONE_WIDTH = 360
RECORDS_TEXT = """
window.drawn = [];
const {fillText} = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const size = parseFloat(/([\\d.]+)px/.exec(this.font)[1]);
  drawn.push({text, size, y, right: x + this.measureText(text).width});
  fillText.call(this, text, x, y);
};
"""
SETS_TAGS = """async (db, tags) => {
  const songs = db.transaction("songs", "readwrite").objectStore("songs");
  for (const [path, values] of Object.entries(tags)) {
    const open = songs.openCursor();
    await new Promise(ok => open.onsuccess = ({target: {result: cursor}}) => {
      if (!cursor) return ok();
      const song = cursor.value;
      if (song.path === path) cursor.update({...song, tags: {...song.tags, ...values}});
      cursor.continue();
    });
  }
}"""


@pytest.fixture
def phone(browser: Browser, server: PageServer, tmp_path: Path) -> Iterator[Phone]:
    """Scan twelve songs of a model without a threshold, so that their labels are certain."""
    with Phone(browser, server) as opened:
        opened.use_model("standard")
        opened.scan([write_tone(tmp_path / f"{n}.wav", 3.5 + n / 10) for n in range(12)])
        yield opened
        opened.check()


def drawn(phone: Phone) -> list[dict[str, Any]]:
    """Save the picture, and return its texts with their sizes and places in pixels."""
    phone.reload_with(RECORDS_TEXT)
    phone.save("Picture (PNG)")
    return phone.page.evaluate("drawn")


def texts(phone: Phone) -> list[str]:
    return [one["text"] for one in drawn(phone)]


def test_picture_is_readable_on_phone(phone: Phone) -> None:
    long = "A title that is much longer than the picture is wide, and goes on and on and on"
    other = "jazz" if phone.exported()[0]["genre"] != "jazz" else "rock"
    phone.in_database(SETS_TAGS, {"0.wav": {"title": long, "genre": other, "year": 1999}})
    found = drawn(phone)
    assert min(one["size"] for one in found) * PHONE_WIDTH / WIDTH >= 12
    assert max(one["right"] for one in found) <= WIDTH
    lines = sorted({one["y"]: one["size"] for one in found}.items())
    for (y, size), (next_y, next_size) in itertools.pairwise(lines):
        assert next_y - y >= (size + next_size) / 2


def test_picture_has_years_in_order(phone: Phone) -> None:
    tags = {f"{n}.wav": {"year": 1990 + n % 3} for n in range(6)}
    phone.in_database(SETS_TAGS, tags)
    found = texts(phone)
    years = [text for text in found if text in ("1990", "1991", "1992")]
    assert years[:3] == ["1990", "1991", "1992"]


def test_many_years_become_decades(phone: Phone) -> None:
    phone.in_database(SETS_TAGS, {f"{n}.wav": {"year": 1985 + n} for n in range(12)})
    found = texts(phone)
    assert {"1980s", "1990s"} <= set(found)
    assert "1985" not in found


def test_picture_names_song_with_other_tag(phone: Phone) -> None:
    genres = {song["path"]: song["genre"] for song in phone.exported()}
    other = "Jazz" if genres["3.wav"] != "jazz" else "Rock"
    phone.in_database(SETS_TAGS, {"3.wav": {"genre": other}, "4.wav": {"genre": "Gamelan"}})
    found = texts(phone)
    assert "1 surprise in the tags" in found
    at = found.index("3.wav")
    assert found[at + 1].startswith(f"tag: {other.lower()}, predicted: {genres['3.wav']} (")
    phone.correct("3.wav", other.lower())
    phone.page.get_by_role("region", name=other.lower()).get_by_text("3.wav").wait_for()
    assert not any("surprise" in text for text in texts(phone))


def stated(rules: RuleCalls, tag: str | None, genre: str, corrected: str | None = None) -> Any:
    song = {
        "song": {"tags": {"genre": tag}},
        "prediction": {"labels": ["hiphop", "rock", "not-music"]},
        "corrected": corrected,
        "genre": genre,
    }
    return rules(("statedOtherwise", song))[0]


@pytest.mark.parametrize(
    ("tag", "genre", "expected"),
    [
        ("Hip-Hop", "rock", "hiphop"),
        ("Hip Hop; Rock", "rock", None),
        ("Pop/Rock", "hiphop", "rock"),
        ("Hard Rock", "hiphop", None),
        ("Rock", "uncertain", None),
        ("Rock", "not-music", None),
        ("not music", "rock", None),
        (None, "rock", None),
        ("", "rock", None),
    ],
)
def test_surprise_is_another_label(
    rules: RuleCalls, tag: str | None, genre: str, expected: str | None
) -> None:
    assert stated(rules, tag, genre) == expected


def test_corrected_song_is_no_surprise(rules: RuleCalls) -> None:
    assert stated(rules, "Rock", "hiphop", corrected="hiphop") is None
