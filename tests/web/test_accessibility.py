"""Check accessibility: axe's rules, keyboard operation, and a width of 360 px."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.conftest import write_tone
from tests.web.conftest import WEB
from tests.web.page_driver import PageServer, Phone


def check_accessibility(phone: Phone) -> None:
    """Run all of axe's rules in both colour schemes."""
    if not phone.page.evaluate("'axe' in window"):
        phone.page.add_script_tag(path=WEB / "node_modules" / "axe-core" / "axe.min.js")
    for scheme in ("light", "dark"):
        phone.page.emulate_media(color_scheme=scheme)
        problems = phone.page.evaluate(
            "async () => (await axe.run()).violations.map(v => v.id + ': ' +"
            " v.nodes.map(n => n.html.slice(0, 200) + ' ' + n.failureSummary).join('; '))"
        )
        assert problems == [], scheme
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_axe_finds_no_problem(browser: Browser, server: PageServer, tmp_path: Path) -> None:
    files = [write_tone(tmp_path / f"{n}.wav", 3.0 + n, 16_000) for n in range(3)]
    broken = tmp_path / "broken.mp3"
    broken.write_text("no song")
    with Phone(browser, server, bypass_csp=True) as phone:
        page = phone.page
        check_accessibility(phone)
        phone.scan([*files, broken])
        check_accessibility(phone)
        for summary in page.locator("summary").all():
            summary.click()
        page.get_by_role("combobox", name="Genre", exact=True).first.select_option("jazz")
        check_accessibility(phone)
        page.get_by_role("list", name="Show one genre").get_by_text("jazz").click()
        page.get_by_label("Search songs and artists").fill("no such song")
        phone.wait_for_text("0 songs found")
        check_accessibility(phone)
        phone.press("Settings")
        check_accessibility(phone)


def test_axe_finds_no_problem_during_scan(
    browser: Browser, server: PageServer, tmp_path: Path
) -> None:
    files = [write_tone(tmp_path / f"{n}.wav", 20.0, 16_000) for n in range(30)]
    with Phone(browser, server, bypass_csp=True) as phone:
        phone.choose_files(files)
        phone.press("Pause")
        check_accessibility(phone)


def test_keyboard_reaches_every_control(
    browser: Browser, server: PageServer, tmp_path: Path
) -> None:
    """Tab reaches the controls in the order of the page, and each shows the focus."""
    with Phone(browser, server, is_mobile=False, has_touch=False) as phone:
        page = phone.page
        phone.scan([write_tone(tmp_path / "a.wav"), write_tone(tmp_path / "b.wav")])
        page.reload()  # moves the focus to the start of the page
        page.get_by_role("heading", name="Your library").wait_for()
        reached: list[str] = []
        while not reached or not reached[-1].startswith("b.wav"):
            assert len(reached) < 20, reached
            page.keyboard.press("Tab")
            text, outline = page.evaluate(
                """() => {
                  const e = document.activeElement;
                  return [e.closest("label")?.firstChild.textContent || e.textContent,
                          getComputedStyle(e).outlineStyle];
                }"""
            )
            assert outline == "solid", text
            reached.append(text)
        expected = ["Settings", "Add music", "Save or share", "Search", "Order"]
        places = [next(i for i, t in enumerate(reached) if t.startswith(e)) for e in expected]
        assert places == sorted(places)
        page.keyboard.press("Enter")
        page.get_by_role("combobox", name="Genre", exact=True).wait_for()
        page.keyboard.press("Tab")
        page.keyboard.press("j")  # selects jazz in the focused list
        page.get_by_role("region", name="jazz").get_by_text("b.wav").wait_for()
        focused = "() => document.activeElement.closest('li[data-path]')?.dataset.path"
        assert page.evaluate(focused) == "b.wav"
        phone.press("Settings")
        page.keyboard.press("Escape")
        assert not page.get_by_role("dialog").is_visible()
        phone.check()
