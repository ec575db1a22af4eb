"""Fold genres of tags to labels."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.genre_folding import GenreFolding, clean_genre, unify_spellings

LABELS = ("hiphop", "metal", "rock", "not-music")
FOLDING = GenreFolding(LABELS)


@pytest.mark.parametrize(
    ("values", "label"),
    [
        (["Hip-Hop/Rap"], "hiphop"),
        (["HIP HOP"], "hiphop"),
        (["(17)"], "rock"),
        (["9"], "metal"),
        (["Rock/Pop"], "rock"),
        (["K-Pop; Dance"], "K-Pop"),
        (["  K-Pop\n "], "K-Pop"),
        (["Other", "Rock"], "rock"),
        (["Unknown"], None),
        (["Podcast"], "not-music"),
        (["演歌"], "演歌"),
        ([], None),
        ([""], None),
        (["/"], None),
        (["\0\0"], None),
        (["\x1b[31m"], None),
        (["x" * 101], None),
        (["(999)"], "(999)"),
        (["uncertain"], None),
    ],
)
def test_tag_becomes_a_label(values: list[str], label: str | None) -> None:
    assert FOLDING.fold(values) == label


@given(st.lists(st.text(max_size=200), max_size=4))
def test_any_text_is_folded(values: list[str]) -> None:
    label = FOLDING.fold(values)
    assert label is None or label == clean_genre(label)


def test_users_table_outranks_ours(tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    file.write_text('"Hip-Hop/Rap" = "Rap"\nrock = false\n"k pop" = "Korean"\n')
    folding = GenreFolding(LABELS, file)
    assert folding.fold(["Hip-Hop/Rap"]) == "Rap"
    assert folding.fold(["ROCK"]) is None
    assert folding.fold(["K-Pop"]) == "Korean"
    assert folding.fold(["metal"]) == "metal"


@pytest.mark.parametrize(
    "line", ["rock = 3", "rock = true", 'rock = ""', 'rock = "\\u001b"', "rock"]
)
def test_invalid_table_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "map.toml"
    file.write_text(line)
    with pytest.raises(PocketGenreError, match=r"map\.toml"):
        GenreFolding(LABELS, file)


def test_most_frequent_spelling_wins() -> None:
    given = ["K-Pop", "k pop", "K-Pop", None, "KPOP", "Fado"]
    assert unify_spellings(given) == ["K-Pop", "K-Pop", "K-Pop", None, "K-Pop", "Fado"]
