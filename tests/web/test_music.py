"""Show the tags of songs, search them, play the songs, and correct many at once."""

import io
from collections.abc import Iterator
from pathlib import Path

import mutagen
import numpy as np
import pytest
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, TALB, TIT2, TPE1
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4, MP4Cover
from PIL import Image
from playwright.sync_api import Browser, Locator

from pocketgenre.demo.synthetic import write_aac, write_audio
from tests.conftest import tone
from tests.web.page_driver import FolderPhone, PageServer, Phone

RATE = 44_100
AUDIO = "document.querySelector('audio')"


@pytest.fixture
def phone(browser: Browser, server: PageServer) -> Iterator[FolderPhone]:
    with FolderPhone(browser, server) as opened:
        opened.use_model("standard")
        yield opened
        opened.check()


def jpeg(colour: str, size: tuple[int, int] = (300, 200)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "JPEG")
    return content.getvalue()


def write_song(path: Path, seconds: float = 4.0) -> Path:
    """Write a tone in the format of the file name."""
    samples = tone(440.0, seconds, RATE, 2)
    if path.suffix == ".m4a":
        write_aac(path, samples, RATE)
    else:
        write_audio(path, samples, RATE)
    return path


def write_two_parts(path: Path, seconds: float) -> Path:
    """Write a tone and noise, each of a length in seconds."""
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.2, size=(round(seconds * RATE), 2)).astype(np.float32)
    write_audio(path, np.concatenate([tone(110.0, seconds, RATE, 2), noise]), RATE)
    return path


def tag_mp3(path: Path, title: str, artist: str, album: str, cover: bytes) -> None:
    song = MP3(path)
    song["TIT2"] = TIT2(3, [title])
    song["TPE1"] = TPE1(3, [artist])
    song["TALB"] = TALB(3, [album])
    song["APIC"] = APIC(3, "image/jpeg", 3, "", cover)
    song.save()


@pytest.fixture
def tagged(tmp_path: Path) -> list[Path]:
    """Write a song in each of four formats, with title, artist, album and a red cover."""
    red = jpeg("red")
    mp3, flac, m4a, ogg = (
        write_song(tmp_path / f"{n}.{suffix}", 4.0 + n)
        for n, suffix in enumerate(("mp3", "flac", "m4a", "ogg"))
    )
    tag_mp3(mp3, "Café on mp3", "The Tones", "Red", red)
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, "image/jpeg", red
    lossless = FLAC(flac)
    lossless.update(title="Café on flac", artist="The Tones", album="Red")
    lossless.add_picture(picture)
    lossless.save()
    apple = MP4(m4a)
    apple.update({"\xa9nam": "Café on m4a", "\xa9ART": "The Tones", "\xa9alb": "Red"})
    apple["covr"] = [MP4Cover(red, MP4Cover.FORMAT_JPEG)]
    apple.save()
    free = mutagen.File(ogg)
    free.update(title="Café on ogg", artist="The Tones", album="Red")
    free.save()
    return [mp3, flac, m4a, ogg]


def item(phone: Phone, name: str) -> Locator:
    return phone.page.locator("li[data-path]").filter(has_text=name)


def wait_until_playing(phone: Phone, title: str, after: float = 0.0) -> None:
    phone.page.get_by_role("region", name="Player").get_by_text(title, exact=True).wait_for()
    phone.page.wait_for_function(f"after => {AUDIO}.currentTime > after", arg=after)


def test_titles_artists_and_covers_are_listed(phone: FolderPhone, tagged: list[Path]) -> None:
    phone.scan(tagged)
    for path in tagged:
        song = item(phone, f"Café on {path.suffix[1:]}")
        song.get_by_text("The Tones · Red").wait_for()
        if path.suffix == ".ogg":
            continue
        pixel = song.locator("img").evaluate(
            """async image => {
              while (!image.naturalWidth) await new Promise(requestAnimationFrame);
              const canvas = new OffscreenCanvas(1, 1).getContext("2d");
              canvas.drawImage(image, 0, 0, 1, 1);
              return [image.naturalWidth, image.naturalHeight,
                      ...canvas.getImageData(0, 0, 1, 1).data];
            }"""
        )
        assert pixel[:2] == [192, 192]
        assert np.allclose(pixel[2:], [254, 0, 0, 255], atol=3)


def test_search_finds_artist_and_album(phone: FolderPhone, tagged: list[Path]) -> None:
    tag_mp3(tagged[0], "Other", "Someone", "Blue", jpeg("blue"))
    phone.scan(tagged)
    search = phone.page.get_by_label("Search songs and artists")
    for words, found in {"someone": 1, "tones cafe": 3, "0.mp3": 1, "blue other": 1}.items():
        search.fill(words)
        phone.wait_for_text(f"{found} song{'s' * (found != 1)} found")


def test_hostile_tags_are_text(phone: FolderPhone, tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.mp3")
    huge = jpeg("red", (60_000, 10))
    bomb = huge.replace((10).to_bytes(2, "big") + (60_000).to_bytes(2, "big"), b"\xff\xff\xff\xff")
    assert bomb != huge
    tag_mp3(song, "<img src=x onerror=alert(1)>\n\x1b[2J" + "x" * 9_999, "\u202eevil", "", bomb)
    phone.scan([song])
    (name,) = phone.listed_names()
    assert name.startswith("<img src=x onerror=alert(1)> [2J")
    assert len(name) == 200
    assert item(phone, "onerror").locator("img").count() == 0


def test_song_plays_and_next_one_follows(phone: FolderPhone, tagged: list[Path]) -> None:
    phone.scan(tagged)
    for path in tagged[:3]:
        phone.correct(f"Café on {path.suffix[1:]}", "jazz")
        group = phone.page.get_by_role("region", name="jazz")
        group.get_by_text(f"Café on {path.suffix[1:]}").wait_for()
    phone.press("Play Café on mp3", exact=True)
    wait_until_playing(phone, "Café on mp3")
    metadata = phone.page.wait_for_function(
        """() => {
          const song = navigator.mediaSession.metadata;
          return song && [song.title, song.artist, song.album, song.artwork.length];
        }"""
    )
    assert metadata.json_value() == ["Café on mp3", "The Tones", "Red", 1]
    phone.press("Next in this genre")
    wait_until_playing(phone, "Café on flac")
    phone.page.evaluate(f"() => {{ {AUDIO}.currentTime = {AUDIO}.duration - 0.1 }}")  # its end
    wait_until_playing(phone, "Café on m4a")
    assert phone.page.get_by_role("button", name="Next in this genre").is_disabled()
    phone.press("Pause the song")
    assert phone.page.evaluate(f"{AUDIO}.paused")
    phone.press("Close the player")
    assert phone.page.get_by_role("region", name="Player").count() == 0


def test_part_plays_from_its_start(phone: FolderPhone, tmp_path: Path) -> None:
    path = write_two_parts(tmp_path / "two parts.wav", 60.0)
    phone.scan([path])
    song = item(phone, path.name)
    song.locator("summary").click()
    part = song.locator(".parts button").last
    minutes, seconds = part.inner_text().split()[-1].split(":")
    start = 60 * int(minutes) + int(seconds)
    assert start >= 30
    part.click()
    wait_until_playing(phone, path.name, start)
    assert phone.page.evaluate(f"{AUDIO}.currentTime") < start + 20


def test_stored_folder_plays_after_reload(phone: FolderPhone, tagged: list[Path]) -> None:
    phone.write("Music/Red/0.mp3", tagged[0])
    phone.open_folder()
    phone.wait_until_done()
    phone.page.reload()
    phone.press("Play Café on mp3", exact=True)
    wait_until_playing(phone, "Café on mp3")


def test_missing_file_is_explained(phone: FolderPhone, tagged: list[Path]) -> None:
    phone.scan(tagged[:1])
    phone.page.reload()
    phone.press("Play Café on mp3", exact=True)
    phone.wait_for_text("To play Café on mp3, choose its folder or the song again.")


@pytest.fixture
def two_albums(phone: FolderPhone, tmp_path: Path) -> FolderPhone:
    """Scan three songs of an album "Red", and two of another artist's in another folder."""
    for n, (artist, album, folder) in enumerate(
        [("Ann", "Red", "A"), ("Ann", "Red", "A"), ("Ben", "Red", "A"), *[("Cid", "Red", "C")] * 2]
    ):
        song = write_song(tmp_path / f"{n}.mp3", 4.0 + n)
        tag_mp3(song, f"Song {n}", artist, album, jpeg("red"))
        phone.write(f"Music/{folder}/{n}.mp3", song)
    phone.open_folder()
    phone.wait_until_done()
    return phone


def test_picture_shows_songs_of_each_genre(two_albums: FolderPhone) -> None:
    """The bars of genres have lengths in the ratio of their songs; folders have full bars."""
    phone = two_albums
    for name, genre in enumerate(("jazz", "jazz", "jazz", "metal", "metal")):
        phone.correct(f"Song {name}", genre)
        group = phone.page.get_by_role("region", name=genre)
        group.get_by_text(f"Song {name}", exact=True).wait_for()
    file = phone.save("Picture (PNG)")
    picture = np.asarray(Image.open(file).convert("RGB"))
    assert picture.shape[1] == 1080
    rows = {}
    for genre, colour in (("jazz", (10, 147, 150)), ("metal", (74, 78, 87))):
        lengths = (picture == colour).all(axis=2).sum(axis=1)
        rows[genre] = lengths[lengths > 100]
    assert rows["jazz"].min() == rows["jazz"].max() == rows["metal"].max()
    assert rows["metal"].min() == pytest.approx(2 / 3 * rows["metal"].max(), abs=1)


def genre_of_selection(phone: FolderPhone, genre: str) -> None:
    phone.page.get_by_role("combobox", name="Set their genre").select_option(genre)


def test_album_is_corrected_at_once_and_undone(two_albums: FolderPhone) -> None:
    phone = two_albums
    before = phone.names_by_group()
    item(phone, "Song 0").locator("summary").click()
    phone.press("Select album Red")
    phone.wait_for_text("3 songs selected")
    genre_of_selection(phone, "metal")
    phone.wait_for_text("3 songs: metal.")
    assert phone.names_by_group()["metal"] == ["Song 0", "Song 1", "Song 2"]
    assert phone.page.get_by_role("region", name="Selected songs").count() == 0
    phone.press("Undo")
    phone.page.get_by_role("region", name="metal").wait_for(state="detached")
    assert phone.names_by_group() == before


def test_artist_and_single_songs_are_selected(two_albums: FolderPhone) -> None:
    phone = two_albums
    item(phone, "Song 3").locator("summary").click()
    phone.press("Select artist Cid")
    phone.page.get_by_label("Select Song 0", exact=True).check()
    phone.page.get_by_label("Select Song 4", exact=True).uncheck()
    phone.wait_for_text("2 songs selected")
    genre_of_selection(phone, "jazz")
    phone.wait_for_text("2 songs: jazz.")
    assert phone.names_by_group()["jazz"] == ["Song 0", "Song 3"]


def test_songs_found_are_selected(two_albums: FolderPhone) -> None:
    phone = two_albums
    phone.page.get_by_label("Search songs and artists").fill("cid")
    phone.wait_for_text("2 songs found")
    phone.press("Select songs")
    phone.press("Select all shown")
    genre_of_selection(phone, "pop")
    phone.wait_for_text("2 songs: pop.")
    assert phone.names_by_group() == {"pop": ["Song 3", "Song 4"]}


def test_uncertain_songs_are_played_and_asked(phone: FolderPhone, tmp_path: Path) -> None:
    songs = [write_two_parts(tmp_path / f"{n}.wav", 6.0 + 3.0 * n) for n in range(3)]
    phone.scan([*songs, write_song(tmp_path / "sure.wav")])
    phone.press("Settings")
    phone.page.get_by_label("confidence is below").select_option("0.8")
    phone.press("Done")
    uncertain = phone.names_by_group()["uncertain"]
    assert uncertain == ["0.wav", "1.wav", "2.wav"]
    phone.press("Play and sort 3 uncertain songs")
    phone.page.get_by_role("heading", name=f"Which genre is {uncertain[0]}").wait_for()
    wait_until_playing(phone, uncertain[0])
    phone.press("Skip")
    wait_until_playing(phone, uncertain[1])
    phone.page.get_by_role("combobox", name="Another genre").select_option("metal")
    phone.page.get_by_role("region", name="metal").get_by_text(uncertain[1]).wait_for()
    assert phone.names_by_group()["uncertain"] == [uncertain[0], *uncertain[2:]]
