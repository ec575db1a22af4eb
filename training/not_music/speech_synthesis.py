"""Synthesize speech with eSpeak NG, Flite and Festival, from Debian packages without root.

``sentences.json`` has, for each language, Article 1 of the Universal Declaration of Human
Rights and everyday sentences.
"""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketgenre.training.errors import DataError
from pocketgenre.training.not_music.packages import fetch_debian_package

_TABLES = Path(__file__).parent
_TEXT_CHARACTERS = (180, 500)  # range of a text's smallest length: about 10 to 40 s
_TIMEOUT = 120  # seconds
_LIBRARIES = "usr/lib/x86_64-linux-gnu"  # folder inside a package


@dataclass(frozen=True)
class Utterance:
    """A text and the voice that speaks it.

    Attributes
    ----------
    path : output file, relative to the folder of the engine
    voice : name of the voice, as an option of the engine
    text : text to speak
    encoding : character encoding that the voice needs
    seed : seed of the speaking rate and pitch of eSpeak NG
    """

    path: str
    voice: str
    text: str
    encoding: str
    seed: str


def synthesize_speech(engine: str, folder: Path, tools: Path) -> None:
    """Synthesize all utterances of an engine.

    Parameters
    ----------
    engine : ``espeak-ng``, ``flite`` or ``festival``
    folder : folder for the files; files that exist are not written again
    tools : folder in which the packages of the engine are extracted

    Raises
    ------
    DataError
        if a package can't be downloaded, or the engine can't run.
    """
    settings = json.loads((_TABLES / "synthesis.json").read_text("utf-8"))[engine]
    utterances = [u for u in plan_utterances(engine, settings) if not (folder / u.path).exists()]
    if not utterances:
        return
    root = tools / engine
    for package in settings["packages"]:
        fetch_debian_package(package, tools / "packages" / package, everything=True)
        if not (root / f".{package}").exists():
            shutil.copytree(tools / "packages" / package, root, symlinks=True, dirs_exist_ok=True)
            (root / f".{package}").touch()
    for utterance in utterances:
        out = folder / utterance.path
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f".{out.stem}.part.wav")
        _speak(engine, utterance, root.resolve(), part.resolve())
        part.replace(out)


def plan_utterances(engine: str, settings: dict[str, Any]) -> Iterator[Utterance]:
    """Choose voices and texts; the same settings give the same ones.

    Parameters
    ----------
    engine : ``espeak-ng``, ``flite`` or ``festival``
    settings : the engine's part of ``synthesis.json``
    """
    sentences: dict[str, list[str]] = json.loads((_TABLES / "sentences.json").read_text("utf-8"))
    for language, texts in sentences.items():
        voices = [
            voice for voice in settings["voices"] if language in voice.get("languages", sentences)
        ]
        rng = random.Random(f"{engine} {language}")  # noqa: S311
        for voice in rng.sample(voices, min(settings["voices_per_language"], len(voices))):
            name = voice["voice"]
            for number in range(settings["texts_per_voice"]):
                yield Utterance(
                    path=f"{language}/{name.strip('+') or 'default'}-{number}.wav",
                    voice=language + name if engine == "espeak-ng" else name,
                    text=random_text(texts, rng),
                    encoding=voice.get("encoding", "utf-8"),
                    seed=f"{language} {name} {number}",
                )


def random_text(sentences: list[str], rng: random.Random) -> str:
    """Join random sentences and numbers up to a random length.

    The last sentence is complete, so a text may exceed 500 characters.
    """
    length = rng.randrange(*_TEXT_CHARACTERS)
    text = ""
    while len(text) < length:
        if rng.random() < 0.2:
            text += ", ".join(str(rng.randrange(3000)) for _ in range(rng.randrange(2, 6))) + ". "
        else:
            text += rng.choice(sentences) + " "
    return text.strip()


def _speak(engine: str, utterance: Utterance, root: Path, out: Path) -> None:
    """Run an engine that is extracted in ``root``, and write a WAV file."""
    command, standard_input = _command(engine, utterance, root, out)
    environment = os.environ | {"LD_LIBRARY_PATH": f"{root / _LIBRARIES}:{root / 'usr/lib'}"}
    message = f"{engine} can't run"
    try:
        result = subprocess.run(  # noqa: S603
            command,
            input=standard_input.encode(utterance.encoding, "ignore"),
            env=environment,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{message} ({error}); use Debian 12 on x86-64.") from error
    if result.returncode or not out.exists():
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        advice = f"install its libraries: apt install {engine}"
        raise DataError(f"{message} ({utterance.path}: {lines[-1]}); {advice}.")


def _command(engine: str, utterance: Utterance, root: Path, out: Path) -> tuple[list[str], str]:
    """Return the command of an engine, and the text for its standard input."""
    program, text = str(root / "usr/bin" / engine), utterance.text
    if engine == "espeak-ng":
        rng = random.Random(utterance.seed)  # noqa: S311
        words_per_minute, pitch = str(rng.randrange(125, 210)), str(rng.randrange(25, 80))
        options = ["--path", str(root / _LIBRARIES), "-v", utterance.voice, "-s", words_per_minute]
        return [program, *options, "-p", pitch, "-w", str(out), "--stdin"], text
    if engine == "flite":
        return [program, "-voice", utterance.voice, "-t", text, "-o", str(out)], text
    command = [program, "--datadir", str(root / "usr/share/festival"), "--pipe"]
    return command, _festival_script(utterance, out)


def _festival_script(utterance: Utterance, out: Path) -> str:
    text = utterance.text.replace("\\", "").replace('"', "")
    return (
        f'(voice_{utterance.voice})\n(set! u (Utterance Text "{text}"))\n'
        f'(utt.synth u)\n(utt.save.wave u "{out}" \'riff)\n'
    )
