"""The list while a scan adds to it: nothing is taken out of anybody's hands."""

from pathlib import Path

import pytest

from tests.conftest import write_tone
from tests.web.phone import Phone

LISTED = "document.querySelectorAll('li[data-path]').length"


@pytest.fixture
def scanning(phone: Phone, tmp_path: Path) -> Phone:
    """A phone in the middle of a scan, some songs listed."""
    phone.choose_files([write_tone(tmp_path / f"{n:02}.wav", 40.0, 16_000) for n in range(40)])
    phone.page.wait_for_function(f"() => {LISTED} >= 2")
    return phone


def hear_more(phone: Phone) -> None:
    """Wait for some songs, and for longer than the list waits until it is drawn."""
    phone.page.wait_for_function(
        "n => document.querySelector('progress').value >= n",
        arg=phone.page.locator("progress").evaluate("bar => Math.min(bar.value + 3, bar.max)"),
    )
    phone.page.wait_for_timeout(1_200)


def test_an_open_choice_stays_open_while_songs_come_in(scanning: Phone) -> None:
    page = scanning.page
    page.locator("summary").filter(has_text="00.wav").click()
    choice = page.get_by_role("combobox", name="Genre", exact=True)
    choice.focus()
    choice.evaluate(
        """choice => {
          window.lost = 0;
          choice.addEventListener("blur", () => lost++);
          new MutationObserver(changes => {
            for (const {removedNodes} of changes)
              for (const node of removedNodes) if (node.contains(choice)) lost++;
          }).observe(document.querySelector(".library"), {childList: true, subtree: true});
        }"""
    )
    before = page.evaluate(LISTED)
    hear_more(scanning)
    assert page.evaluate("lost") == 0
    assert choice.evaluate("choice => choice === document.activeElement")
    page.get_by_label("Search songs and folders").focus()
    page.wait_for_function(f"before => {LISTED} > before", arg=before)


def test_the_chosen_genre_keeps_the_focus_while_songs_come_in(scanning: Phone) -> None:
    chip = scanning.page.locator(".genres button[aria-pressed=false]").first
    chip.focus()
    focused = "document.activeElement.childNodes[1]?.textContent"
    genre = scanning.page.evaluate(focused)
    assert genre
    scanning.page.set_viewport_size({"width": 360, "height": 300})
    scanning.page.evaluate("scrollTo(0, document.body.scrollHeight)")  # the chip is out of sight
    place = scanning.page.evaluate("scrollY")
    assert chip.bounding_box()["y"] < 0
    hear_more(scanning)
    assert scanning.page.evaluate(focused) == genre
    assert scanning.page.evaluate("scrollY") >= place
