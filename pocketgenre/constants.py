"""Define constants that the library and the phone page share.

Their values are in ``constants.json``, which both read.
"""

import json
from pathlib import Path
from typing import Any

_VALUES: dict[str, Any] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)

PAGE_SONG_SUFFIXES: frozenset[str] = frozenset(_VALUES["song_suffixes"])
"""File name suffixes by which the phone page finds songs; browsers can't decode the others."""

SONG_SUFFIXES: frozenset[str] = PAGE_SONG_SUFFIXES | frozenset(_VALUES["native_song_suffixes"])
"""File name suffixes by which songs are found, in lower case.

How a file is decoded depends on its content, not on its suffix."""

PROTECTED_CODECS: tuple[str, ...] = tuple(_VALUES["protected_codecs"])
"""Codec tags of encrypted audio: of Apple's store until 2009, and common encryption."""

SILENCE_DECIBELS: float = _VALUES["silence_decibels"]
"""Level below which a segment is silent [dB of full scale].

16-bit dither has -93 dB; the quietest segment of GTZAN, attenuated by 20 dB, has -80 dB."""

SILENCE_RANGE_DECIBELS: float = _VALUES["silence_range_decibels"]
"""Distance below a song's loudest segment from which a segment is silent [dB].

The last seconds of songs that fade out, and tape noise before a song, lie further below."""

MIN_SONG_SECONDS: float = _VALUES["min_song_seconds"]
"""Shortest song that can be classified [s].

A song shorter than a segment is repeated to fill it, not padded with silence: 71.2 % of
the held-out clips of 2 to 3 s are correct with repetition, 67.0 % with padding (musicnn)."""

MAX_SONG_SECONDS: float = _VALUES["max_song_seconds"]
"""Length of the part of a song that is decoded [s]; a longer song is classified from its start.

Albums, and most concerts and mixes, are shorter than two hours. The phone page classifies less of a
song, ``max_page_song_seconds``, in excerpts spread over it, because a phone is slower."""

UNCERTAIN: str = _VALUES["uncertain"]
"""Label of a song whose confidence or margin is below the thresholds."""

NOT_MUSIC: str = _VALUES["not_music"]
"""Label of speech, noise and effects, for models that have it among their labels."""

CONFIDENCE_MAX_SEGMENTS: int = _VALUES["confidence_max_segments"]
"""Number of segments above which more segments don't raise a confidence: the songs on which the
confidence is fitted have at most ten."""

TOP_GENRES: int = _VALUES["top_genres"]
"""Number of most probable genres in a prediction."""

WINDOW_SECONDS: float = _VALUES["timeline_window_seconds"]
"""Length of the windows in which segment probabilities are averaged for the timeline [s]."""

MIN_LEAD: float = _VALUES["timeline_min_lead"]
"""Lead in mean probability over the current part's genre at which a new part begins."""

MAX_WINDOWS: int = _VALUES["timeline_max_windows"]
"""Largest number of windows in a drawing of the timeline."""

_LEARNING: dict[str, Any] = _VALUES["learning"]

INVERSE_REGULARIZATION: float = _LEARNING["inverse_regularization"]
"""C of scikit-learn with which a last layer is learned; see docs/results/own-genres.md."""

MIN_DEVIATION: float = _LEARNING["min_deviation"]
"""Added to each feature's deviation, so that a constant feature is not amplified."""

REHEARSAL_WEIGHT: float = _LEARNING["rehearsal_weight"]
"""Total weight of songs that are not taught, a known genre, relative to a taught genre."""

EVIDENCE: float = _LEARNING["evidence"]
"""Weight of songs relative to the prior; docs/results/own-genres.md compares."""

MIN_SHARE: float = _LEARNING["min_share"]
"""Share of a predicted label below which it is left out, to save time."""

LEARNING_FOLDS: int = _LEARNING["folds"]
"""Number of folds of the cross-validation of what was learned."""

CALIBRATION_SEGMENTS: int = _LEARNING["calibration_segments"]
"""Number of a song's segments on which a temperature is fitted, so that long songs don't decide."""

FEW_SONGS: int = _LEARNING["few_songs"]
"""Number of songs below which a genre has too few to be learned well."""

CONFUSED_SHARE: float = _LEARNING["confused_share"]
"""Share of the songs of two genres with the other's label above which they can't be told apart."""

MAX_LEARNED_LABELS: int = _LEARNING["max_labels"]
"""Largest number of labels of a learned layer."""

MIN_CONFIDENCE_SONGS: int = _LEARNING["confidence_songs"]
"""Number of held-out songs below which no confidence is fitted."""

TARGET_ACCURACY: float = _LEARNING["target_accuracy"]
"""Share of correct labels among the songs that reach the default threshold."""

PLAYLIST_HASH_PREFIX: str = _VALUES["playlist_hash_prefix"]
"""Text before the hash in the second line of a playlist."""
