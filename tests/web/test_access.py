"""Everyone can use it: axe finds nothing, a keyboard reaches everything, 360 px are enough."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import write_tone
from tests.web.conftest import WEB
from tests.web.phone import Phone, Site


@pytest.fixture(params=["light", "dark"])
def seen(request, browser, site: Site, tmp_path: Path) -> Iterator[Phone]:
    """A page with songs, one that failed among them."""
    files = [write_tone(tmp_path / f"{n}.wav", 3.0 + n, 16_000) for n in range(3)]
    broken = tmp_path / "broken.mp3"
    broken.write_text("no song")
    with Phone(browser, site, color_scheme=request.param, bypass_csp=True) as phone:
        problems(phone)  # of the empty page
        phone.choose_files([*files, broken])
        phone.finish()
        yield phone


def problems(phone: Phone) -> None:
    """What axe finds, all of its rules asked."""
    if not phone.page.evaluate("'axe' in window"):
        phone.page.add_script_tag(path=WEB / "node_modules" / "axe-core" / "axe.min.js")
    found = phone.page.evaluate(
        "async () => (await axe.run()).violations.map(v => v.id + ': ' +"
        " v.nodes.map(n => n.html.slice(0, 200) + ' ' + n.failureSummary).join('; '))"
    )
    assert found == []
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_axe_finds_nothing(seen: Phone) -> None:
    problems(seen)
    page = seen.page
    for summary in page.locator("summary").all():
        summary.click()
    page.get_by_role("combobox", name="Genre", exact=True).first.select_option("jazz")
    problems(seen)
    page.get_by_role("list", name="Show one genre").get_by_text("jazz").click()
    page.get_by_label("Search songs and folders").fill("no such song")
    page.get_by_text("0 songs found").wait_for()
    problems(seen)
    page.get_by_role("button", name="Settings").click()
    problems(seen)


def test_axe_finds_nothing_during_a_scan(browser, site: Site, tmp_path: Path) -> None:
    files = [write_tone(tmp_path / f"{n}.wav", 20.0, 16_000) for n in range(30)]
    with Phone(browser, site, bypass_csp=True) as phone:
        phone.choose_files(files)
        phone.page.get_by_role("button", name="Pause").click()
        problems(phone)


@pytest.fixture
def desk(browser, site: Site) -> Iterator[Phone]:
    """Where there is a keyboard, and no finger."""
    with Phone(browser, site, is_mobile=False, has_touch=False) as held:
        yield held
        held.check()


def test_a_keyboard_does_it_all(desk: Phone, tmp_path: Path) -> None:
    """Every control is reached by Tab, in the order of the page, and shows that it is."""
    desk.choose_files([write_tone(tmp_path / "a.wav"), write_tone(tmp_path / "b.wav")])
    desk.finish()
    page = desk.page
    page.reload()  # the focus is where a page begins
    page.get_by_role("heading", name="Your library").wait_for()
    reached = []
    while not reached or not reached[-1].startswith("b.wav"):
        assert len(reached) < 20, reached
        page.keyboard.press("Tab")
        words, outline = page.evaluate(
            """() => {
              const e = document.activeElement;
              return [e.closest("label")?.firstChild.textContent || e.textContent,
                      getComputedStyle(e).outlineStyle];
            }"""
        )
        assert outline == "solid", words
        reached.append(words)
    wanted = ["Settings", "Choose a", "Choose songs", "Save or share", "Search", "Order"]
    places = [next(i for i, text in enumerate(reached) if text.startswith(w)) for w in wanted]
    assert places == sorted(places)
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Genre", exact=True).wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("j")  # jazz, in the list that has the focus
    page.get_by_role("region", name="jazz").get_by_text("b.wav").wait_for()
    focused = "() => document.activeElement.closest('li[data-path]')?.dataset.path"
    assert page.evaluate(focused) == "b.wav"
    page.get_by_role("button", name="Settings").click()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
