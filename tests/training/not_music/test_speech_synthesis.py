"""The texts and voices of synthesized speech are the same each time."""

import json
from pathlib import Path

import pytest

from pocketgenre.training.errors import DataError
from pocketgenre.training.not_music import speech_synthesis
from pocketgenre.training.not_music.speech_synthesis import plan_utterances, synthesize_speech

SETTINGS = json.loads(Path(speech_synthesis.__file__).with_name("synthesis.json").read_text())


@pytest.mark.parametrize("engine", SETTINGS)
def test_plan_is_deterministic(engine: str) -> None:
    planned = list(plan_utterances(engine, SETTINGS[engine]))
    assert planned == list(plan_utterances(engine, SETTINGS[engine]))
    assert len({utterance.path for utterance in planned}) == len(planned) <= 120
    for utterance in planned:
        assert len(utterance.text) >= 150
        assert len(utterance.text.encode(utterance.encoding, "ignore")) > 140


def test_error_names_missing_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def extract_nothing(name: str, folder: Path, *, everything: bool) -> None:
        folder.mkdir(parents=True)

    monkeypatch.setattr(speech_synthesis, "fetch_debian_package", extract_nothing)
    with pytest.raises(DataError, match="flite can't run"):
        synthesize_speech("flite", tmp_path / "flite", tmp_path / "tools")
    assert not list((tmp_path / "flite").rglob("*.wav"))
