"""Measure which near duplicates are found: ``python -m benchmarks.near_duplicates AUDIO``.

``AUDIO`` is a folder of songs with ``index.csv``. Each song is written again as each of
:data:`VARIANTS` (with ``ffmpeg``) and searched among the original songs. A pair of a variant and
another song is false, unless the originals of both are in one group: of one artist or known
duplicates.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig
from pocketgenre.training.data.groups import group_songs
from pocketgenre.training.data.labelled_songs import (
    DUPLICATES_FILE,
    LabelledSong,
    read_duplicates,
    songs_from_index,
)
from pocketgenre.training.data.librosa_features import song_features
from pocketgenre.training.data.near_duplicates import (
    Fingerprint,
    closest_stretches,
    fingerprint,
)

LIMITS = (0.12, 0.14, 0.16, 0.18, 0.2, 0.22)
"""Largest differences for which recall and false pairs are printed."""

_CLIP_SECONDS = 3.5
"""Songs up to this length are counted apart: a stretch of 1.5 s is half of them."""


@dataclass(frozen=True)
class Variant:
    """Another copy of a recording.

    Attributes
    ----------
    suffix : suffix of the file
    encoder : options of ``ffmpeg``
    start : share of the song that is cut off at its start
    gain : change of the volume [dB]
    """

    suffix: str
    encoder: tuple[str, ...]
    start: float
    gain: float


VARIANTS = {
    "MP3 128 kbit/s, 6 dB quieter, without the first 5 %": Variant(
        ".mp3", ("-c:a", "libmp3lame", "-b:a", "128k"), 0.05, -6
    ),
    "AAC 96 kbit/s, 12 dB quieter, without the first 13 %": Variant(
        ".m4a", ("-c:a", "aac", "-b:a", "96k"), 0.13, -12
    ),
    "Vorbis 64 kbit/s, 3 dB quieter, without the first 21 %": Variant(
        ".ogg", ("-c:a", "libvorbis", "-b:a", "64k"), 0.21, -3
    ),
}


def write_variant(song: Path, out: Path, variant: Variant) -> None:
    """Write a variant of a song."""
    seconds = variant.start * soundfile.info(song).duration
    source = ["-ss", f"{seconds:.3f}", "-i", str(song), "-af", f"volume={variant.gain}dB"]
    command = ["ffmpeg", "-v", "error", "-y", *source, *variant.encoder, str(out)]
    subprocess.run(command, check=True)


def fingerprints(
    songs: Sequence[LabelledSong], audio: Path, variant: Variant | None, config: FeatureConfig
) -> list[Fingerprint]:
    """Compute the fingerprints of songs, or of a variant of each song."""
    found = []
    with TemporaryDirectory() as folder:
        for song in songs:
            path = audio / song.path
            if variant:
                path = Path(folder) / f"song{variant.suffix}"
                write_variant(audio / song.path, path, variant)
            found.append(fingerprint(song_features(path, config), config))
    return found


def main(audio: Path) -> None:
    """Print tables in Markdown."""
    songs = group_songs(
        songs_from_index(audio / "index.csv"), read_duplicates(audio / DUPLICATES_FILE)
    )
    groups = np.array([song.group for song in songs])
    is_clip = np.array([soundfile.info(audio / s.path).duration <= _CLIP_SECONDS for s in songs])
    for config in (MFCC_CONFIG, LOG_MEL_CONFIG):
        originals = fingerprints(songs, audio, None, config)
        found = closest_stretches(originals)
        for (one, other), difference in sorted(found.items(), key=lambda item: item[1]):
            if difference <= max(LIMITS):
                same = "one group" if groups[one] == groups[other] else "two groups"
                print(f"{songs[one].name}, {songs[other].name}: {difference:.3f}, {same}")
        for name, variant in VARIANTS.items():
            found = closest_stretches([*originals, *fingerprints(songs, audio, variant, config)])
            own = np.array([found.get((i, len(songs) + i), 1.0) for i in range(len(songs))])
            false = [
                difference
                for (one, other), difference in found.items()
                if one < len(songs) <= other and groups[one] != groups[other - len(songs)]
            ]
            for limit in LIMITS:
                is_found = own <= limit
                print(
                    f"| {config.kind} | {name} | {limit} | {is_found[~is_clip].sum()} of"
                    f" {(~is_clip).sum()} | {is_found[is_clip].sum()} of {is_clip.sum()} |"
                    f" {sum(d <= limit for d in false)} |",
                    flush=True,
                )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
