"""Use the page for dropping songs in a browser."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect

from pocketgenre.demo.synthetic import write_audio
from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.models.model_card import card_path, read_model
from pocketgenre.models.pretrained import PRETRAINED_WAVEFORM
from pocketgenre.server.settings import Settings
from pocketgenre.server.tasks import TaskRunner
from tests.browser import CHROMIUM, start_browser
from tests.calibrated_models import write_calibrated_model
from tests.conftest import tone
from tests.server.servers import Server, build_app, serve_in_thread

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists() and not os.environ.get("CI"):
        pytest.skip("Chromium is not installed")
    with start_browser() as chromium:
        yield chromium


DESKTOP, PHONE = (1280, "light"), (390, "dark")
BOTH_SIZES = pytest.mark.parametrize(
    "page", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True
)


@pytest.fixture
def page(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, which must send requests to this server only and log no errors."""
    width, scheme = getattr(request, "param", PHONE)
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    errors: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.goto(server.url)
    yield page
    assert not [text for text in errors if "422" not in text and "415" not in text]
    assert all(url.startswith(f"{server.url}/") for url in requested)
    page.close()


def upload(page: Page, *songs: Path) -> None:
    page.set_input_files("#files", list(songs))
    expect(page.locator("#status")).to_contain_text("Done", timeout=60_000)


def count_colours(page: Page, canvas: str) -> int:
    """Count the different colours of a canvas."""
    return page.locator(canvas).first.evaluate(
        """canvas => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )


@BOTH_SIZES
def test_page_shows_genre_votes_and_pictures(page: Page, server: Server, songs: Path) -> None:
    page.select_option("#model", "standard")
    chosen = [songs / "Bells.m4a", songs / "Broken beat.mp3"]
    upload(page, *chosen)
    articles = page.locator("article")
    expect(articles).to_have_count(2)
    for article, song in zip(reversed(articles.all()), chosen, strict=True):
        expected = server.post("/v1/classify?model=standard", song).json()["songs"][0]
        expect(article.locator(".name")).to_have_text(song.name)
        expect(article.locator(".genre")).to_have_text(expected["genre"])
        confidence = article.locator(".confidence")
        expect(confidence).to_contain_text(f"{expected['confidence']:.0%}".replace("%", "\u00a0%"))
        expect(confidence).to_contain_text(f"of {sum(expected['votes'].values())} votes")
        counts = map(int, article.locator("dd.count").all_inner_texts())
        assert sum(counts) == sum(expected["votes"].values())
    assert count_colours(page, ".genres") >= 2
    assert count_colours(page, ".wave") >= 2
    assert count_colours(page, ".features") > 50


@BOTH_SIZES
def test_nothing_is_wider_than_page(page: Page, songs: Path) -> None:
    upload(page, songs / "Slow pad.wav")
    page.locator("summary").click()
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= page.viewport_size["width"]
    for control in ("#drop", "#model", "article", ".features"):
        box = page.locator(control).first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.viewport_size["width"]


def test_segments_are_available_as_table(page: Page, songs: Path) -> None:
    upload(page, songs / "Slow pad.wav")
    page.locator("summary").click()
    assert page.locator("tbody tr").count() == 2
    assert page.locator("thead th").first.inner_text() == "from"
    for canvas in page.locator("canvas").all():
        assert "0:06" in canvas.get_attribute("aria-label")


def test_other_model_can_be_chosen(page: Page, songs: Path) -> None:
    page.select_option("#model", "standard")
    upload(page, songs / "Slow pad.wav")
    expect(page.locator(".confidence")).to_contain_text("by standard")
    expect(page.locator(".kind")).to_contain_text("MFCC")


def test_page_shows_error_of_bad_file(page: Page, songs: Path, tmp_path: Path) -> None:
    (tmp_path / "diary.mp3").write_text("Dear diary, " * 100)
    upload(page, tmp_path / "diary.mp3", songs / "Bells.m4a")
    expect(page.locator(".failed .genre")).to_have_text(
        "Not audio in a format that can be decoded."
    )
    expect(page.locator("article")).to_have_count(2)


def test_file_name_is_not_markup(page: Page, tmp_path: Path) -> None:
    name = "<img src=x onerror=document.title='HARMED'>.wav"
    write_audio(tmp_path / "plain.wav", tone(440.0, 4.0), 22_050)
    (tmp_path / "plain.wav").rename(tmp_path / name)
    upload(page, tmp_path / name)
    expect(page.locator(".name")).to_have_text(name)
    assert "HARMED" not in page.title()


def test_songs_can_be_dropped(page: Page, songs: Path) -> None:
    content = list((songs / "opus.opus").read_bytes())
    page.evaluate(
        """content => {
          const files = new DataTransfer();
          files.items.add(new File([new Uint8Array(content)], "dropped.opus"));
          const init = { dataTransfer: files, bubbles: true, cancelable: true };
          document.getElementById("drop").dispatchEvent(new DragEvent("drop", init));
        }""",
        content,
    )
    expect(page.locator(".name")).to_have_text("dropped.opus", timeout=30_000)
    expect(page.locator("#status")).to_contain_text("Done")


def test_page_can_be_used_by_keyboard(page: Page, songs: Path) -> None:
    expect(page.locator("#model option")).not_to_have_count(0)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "model"
    upload(page, songs / "Slow pad.wav")
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr").first).to_be_visible()


def test_change_of_genre_is_described(page: Page, songs: Path, tmp_path: Path) -> None:
    pad, rate = soundfile.read(songs / "Slow pad.wav", dtype="float32", always_2d=True)
    beat, _ = soundfile.read(songs / "Four on the floor.flac", dtype="float32", always_2d=True)
    both = np.concatenate([part.mean(axis=1, keepdims=True) for part in (pad, pad, beat, beat)])
    write_audio(tmp_path / "two.flac", both, rate)
    page.select_option("#model", "standard")
    upload(page, tmp_path / "two.flac")
    assert "from 0:00 to" in page.locator(".genres").get_attribute("aria-label")


@pytest.fixture(scope="module")
def calibrated_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose default model has the label "not-music" and a calibrated confidence."""
    folder = tmp_path_factory.mktemp("calibrated")
    written = write_calibrated_model(PRETRAINED_WAVEFORM["standard"], folder)
    model = written.with_name("calibrated.tflite")
    for path in (written, card_path(written)):
        path.rename(model.with_suffix(path.suffix))
    pool = WorkerPool(TaskRunner({"calibrated": read_model(model)}, "calibrated"), 1)
    pool.start()
    try:
        with serve_in_thread(build_app(pool, model=str(model)), folder / "log") as running:
            yield running
    finally:
        pool.close()


def test_silent_uncertain_partial_and_no_music_are_shown(
    browser: Browser, calibrated_server: Server, songs: Path, tmp_path: Path
) -> None:
    quiet_start = tmp_path / "quiet start.flac"
    write_audio(quiet_start, np.concatenate([tone(0.0, 6.0), tone(440.0, 9.0)]), 22_050)
    cut = tmp_path / "cut.wav"
    samples = tone(440.0, 9.0)
    samples[150_000:] = np.nan
    write_audio(cut, samples, 22_050, "WAV", "FLOAT")
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(calibrated_server.url)
    riff = songs / "Distorted riff.ogg"
    upload(page, quiet_start, cut, riff)
    uncertain, partial, silent = page.locator("article").all()
    expected = calibrated_server.post("/v1/classify", riff).json()["songs"][0]
    assert expected["genre"] == "uncertain"
    percentage = f"{expected['confidence']:.0%}".replace("%", "\u00a0%")
    note = uncertain.locator(".note")
    expect(note).to_contain_text(f"most likely no music, {percentage}")
    expect(partial.locator(".genre")).to_have_text("no music")
    expect(partial.locator(".note")).to_contain_text("partial")
    expect(silent.locator(".note")).to_be_hidden()
    assert silent.locator("dd.count").all_inner_texts() == ["3"]
    expect(silent.locator(".confidence")).to_contain_text("3 of 3 votes")
    silent.locator("summary").click()
    first, third = (silent.locator("tbody tr").nth(row) for row in (0, 2))
    expect(first).to_contain_text("silent")
    expect(third).not_to_contain_text("silent")
    page.close()


def test_page_requests_token(
    browser: Browser, pool: WorkerPool, songs: Path, tmp_path: Path
) -> None:
    app = build_app(pool, Settings(workers=2, token=TOKEN))
    with serve_in_thread(app, tmp_path / "log") as guarded:
        page = browser.new_page()
        page.goto(guarded.url)
        expect(page.locator("#token-field")).to_be_visible()
        status = page.locator("#status")
        expect(status).to_contain_text("This server needs a token")
        page.fill("#token", f"{TOKEN}x")
        page.locator("#token").press("Tab")
        expect(status).to_contain_text("The token is wrong")
        page.fill("#token", TOKEN)
        page.locator("#token").press("Tab")
        expect(page.locator("#model option")).not_to_have_count(0)
        upload(page, songs / "Slow pad.wav")
        expect(page.locator(".genre")).not_to_be_empty()
        page.get_by_role("link", name="API").click()
        expect(page.locator("#classify summary")).to_be_visible()
        page.go_back()
        expect(page.locator("#model option")).not_to_have_count(0)
        page.close()


def test_page_reports_that_the_server_has_stopped(
    browser: Browser, pool: WorkerPool, songs: Path, tmp_path: Path
) -> None:
    with serve_in_thread(build_app(pool), tmp_path / "log") as stopping:
        page = browser.new_page()
        page.goto(stopping.url)
        expect(page.locator("#model option")).not_to_have_count(0)
    upload(page, songs / "Slow pad.wav")
    expect(page.locator(".failed .genre")).to_contain_text("The server does not respond.")
    page.close()


def test_docs_send_requests(page: Page, server: Server, songs: Path) -> None:
    page.goto(f"{server.url}/docs")
    operations = page.locator(".operation")
    expect(operations).to_have_count(12)
    models = page.locator("#list_models")
    models.locator("summary").click()
    models.locator("form button").click()
    expect(models.locator(".response")).to_contain_text('"default": "best"')
    classify = page.locator("#classify")
    classify.locator("summary").click()
    classify.locator("[name='query:model']").fill("standard")
    classify.locator("[type=file]").set_input_files([songs / "Slow pad.wav", songs / "Bells.m4a"])
    classify.locator("form button").click()
    expect(classify.locator(".response")).to_contain_text('"name": "Bells.m4a"', timeout=60_000)
    expect(classify.locator(".statuses")).to_contain_text("too-long")
    raw = page.locator("#features_raw")
    raw.locator("summary").click()
    raw.locator("[name='query:format']").select_option("npy")
    raw.locator("[type=file]").set_input_files(songs / "Slow pad.wav")
    raw.locator("form button").click()
    expect(raw.locator(".response")).to_have_text("200\n144512 bytes", timeout=60_000)


@BOTH_SIZES
def test_docs_are_not_wider_than_the_page(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/docs")
    for summary in page.locator(".operation summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
