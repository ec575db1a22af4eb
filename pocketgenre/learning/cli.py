"""Run ``learn-genres``: learn genres of your own from songs whose genre is known."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from pocketgenre.cli.console import Debug, interrupt_flag, print_status, run
from pocketgenre.cli.options import CatalogFile, Exclude, Quiet, Version, catalog_file
from pocketgenre.cli.output_checks import check_output, protected_files
from pocketgenre.cli.scan_progress import scan_listing
from pocketgenre.constants import CONFUSED_SHARE, FEW_SONGS, MAX_LEARNED_LABELS, NOT_MUSIC
from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.learning.learned_model import (
    build_model,
    find_waveform_model,
    old_layer,
    write_model,
)
from pocketgenre.learning.taught_songs import (
    Labels,
    group_songs,
    labels_from_corrections,
    labels_from_csv,
    labels_from_folders,
    labels_from_tags,
    unify_all,
)
from pocketgenre.learning.teaching import (
    Evaluation,
    Lesson,
    TaughtSongs,
    confusions,
    learn,
    recalls,
)
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FileFilter, FolderListing, list_songs
from pocketgenre.library.genre_folding import GenreFolding
from pocketgenre.library.scan import ScanConfig, configure_scan
from pocketgenre.library.tags.metadata import Metadata
from pocketgenre.models.flatbuffer import read_output_layer
from pocketgenre.models.model_card import card_path, read_model
from pocketgenre.models.output_layer import OutputLayer
from pocketgenre.models.pretrained import DEFAULT_MODEL, find_model
from pocketgenre.text import count_of, printable

_SHOWN_CONFUSIONS = 5
_INTERRUPTED = 130
_TAGS, _FOLDERS, _CORRECTIONS = "tags", "folders", "corrections"


class InputOption(StrEnum):
    """Values of ``--input``."""

    features = "features"
    waveform = "waveform"


def learn_genres(
    library: Annotated[Path, typer.Argument(help="Folder with music.", metavar="LIBRARY")],
    out: Annotated[
        Path,
        typer.Option(help="Write the model here, and its card next to it.", metavar="FILE.tflite"),
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="Where the genres are from: the songs' tags, the folders directly in LIBRARY, the"
            " corrections of correct-label, or a CSV file with the columns path, genre and artist."
            " Corrections outrank the others.",
            metavar="tags|folders|corrections|FILE.csv",
        ),
    ] = _TAGS,
    map: Annotated[
        Path | None,
        typer.Option(
            help='TOML file that folds genres: lines such as "Hip-Hop/Rap" = "hiphop", or false for'
            " no genre.",
            metavar="FILE",
        ),
    ] = None,
    only_taught: Annotated[
        bool,
        typer.Option(
            "--only-taught",
            help="Leave out the model's genres of which there is no song; not-music stays.",
        ),
    ] = False,
    model: Annotated[
        str,
        typer.Option(help="Model to begin with.", metavar="best|FILE"),
    ] = DEFAULT_MODEL,
    input: Annotated[
        InputOption,
        typer.Option(help="Input of the written model: features, or samples for apps."),
    ] = InputOption.features,
    exclude: Exclude = None,
    catalog: CatalogFile = None,
    quiet: Quiet = False,
    version: Version = False,
    debug: Debug = False,
) -> None:
    """Learn genres of your own from songs whose genre is known, on this machine, in seconds.

    The last layer of the model is fitted to the features of these songs. Only songs whose features
    the catalogue lacks are decoded. The printed accuracy is that of songs of other artists and
    albums. Your songs, their tags and the labels in the catalogue stay unchanged:
    `scan-library LIBRARY --model FILE.tflite` labels the library with the new model.

    For example:

    - `learn-genres ~/Music --out my.tflite`

    - `learn-genres ~/Music --from folders --only-taught --out my.tflite`
    """
    model_file = find_model(model)
    content, card = read_model(model_file)
    layer = read_output_layer(content)
    if out.suffix != ".tflite":
        raise PocketGenreError(f"{out} must end in .tflite, as all models do; name another file.")
    protected = protected_files(catalog_file(catalog), model_file)
    for file in (out, card_path(out)):
        check_output(file, protected)
    if input is InputOption.waveform:
        written = find_waveform_model(model_file, layer)
    else:
        written = content, card
    folding = GenreFolding(card.labels, map)
    listing = list_songs(library.expanduser(), FileFilter(exclude=tuple(exclude or ())))
    with Catalog(catalog_file(catalog), create=True) as opened, interrupt_flag() as is_interrupted:
        find = _labels_finder(source, listing, folding, is_interrupted)
        labels = _with_corrections(find(opened), opened, listing, folding)
        names = _label_names(labels, card.labels, only_taught=only_taught)
        taught = [file for file in listing.files if file.path in labels.genres]
        config = configure_scan(content, card)
        _store_features(replace(listing, files=tuple(taught)), opened, config, is_interrupted)
        if is_interrupted():
            raise typer.Exit(_INTERRUPTED)
        songs = _read_songs(opened, listing, labels, layer)
    lesson = learn(songs, old_layer(layer, card), names)
    for line in _report(songs, lesson, labels.unlabelled):
        print(line)
    write_model(out, *build_model(*written, songs, lesson, source))
    print_status(
        f"Wrote {printable(str(out))} and its card; scan-library --model {printable(str(out))}"
        " labels your library with it."
    )


def _labels_finder(
    source: str,
    listing: FolderListing,
    folding: GenreFolding,
    is_interrupted: Callable[[], bool],
) -> Callable[[Catalog], Labels]:
    """Return the function that finds the genres of songs in the source of ``--from``."""
    if source == _TAGS:
        tags = partial(labels_from_tags, listing.files, folding, LocalExecutor(), is_interrupted)
        return lambda _: tags()
    if source == _FOLDERS:
        return lambda _: labels_from_folders(listing, folding)
    if source == _CORRECTIONS:
        return lambda catalog: labels_from_corrections(
            catalog.corrections(), listing.files, folding
        )
    if Path(source).suffix.lower() != ".csv":
        raise PocketGenreError(
            f"--from {printable(source)} is unknown; give tags, folders, corrections or a CSV file."
        )
    return lambda _: labels_from_csv(Path(source), listing, folding)


def _with_corrections(
    labels: Labels, catalog: Catalog, listing: FolderListing, folding: GenreFolding
) -> Labels:
    """Replace the genres of songs that the user has corrected."""
    corrected = labels_from_corrections(catalog.corrections(), listing.files, folding).genres
    added = len(corrected.keys() - labels.genres.keys())
    genres = unify_all({**labels.genres, **corrected})
    return replace(labels, genres=genres, unlabelled=labels.unlabelled - added)


def _label_names(labels: Labels, old: tuple[str, ...], *, only_taught: bool) -> tuple[str, ...]:
    """Return the labels of the new model: the model's genres, those taught, and ``not-music``.

    Raises
    ------
    PocketGenreError
        if there are too few or too many.
    """
    taught = sorted(set(labels.genres.values()))
    if not taught:
        raise PocketGenreError(
            "No song has a genre to learn from; give genres with --from folders, a CSV file, or"
            " correct-label."
        )
    kept = [label for label in old if label in taught or not only_taught or label == NOT_MUSIC]
    names = [label for label in dict.fromkeys([*kept, *taught]) if label != NOT_MUSIC]
    if len(names) < 2:
        raise PocketGenreError(
            f"{printable(taught[0])} is the only genre; teach another one, or omit --only-taught."
        )
    if len(names) > MAX_LEARNED_LABELS:
        raise PocketGenreError(
            f"{len(names)} genres are too many, at most {MAX_LEARNED_LABELS} can be learned; merge"
            " or drop some with --map FILE."
        )
    return (*names, *([NOT_MUSIC] if NOT_MUSIC in (*kept, *taught) else []))


def _store_features(
    listing: FolderListing,
    catalog: Catalog,
    config: ScanConfig,
    is_interrupted: Callable[[], bool],
) -> None:
    """Decode the songs whose features the catalogue lacks."""
    request = replace(config.request(), only_features=True)
    scan_listing(listing, catalog, config, is_interrupted, request=request)


def _read_songs(
    catalog: Catalog, listing: FolderListing, labels: Labels, layer: OutputLayer
) -> TaughtSongs:
    """Read the features of taught songs, and the means of all other songs of the catalogue.

    Raises
    ------
    PocketGenreError
        if no taught song could be decoded.
    """
    paths = {file.path for file in listing.files}
    songs: list[tuple[str, Metadata]] = []
    features, others = [], []
    for path, metadata, stored in catalog.all_features(layer.base):
        rows = layer.dequantize(stored.values[stored.values.any(axis=1)])
        if path in labels.genres and path in paths:
            songs.append((path, metadata))
            features.append(rows)
        else:
            others.append(rows.mean(axis=0))
    if not songs:
        raise PocketGenreError(
            "None of the songs with a genre could be decoded; list-songs --failed has the reasons."
        )
    return TaughtSongs(
        features,
        [labels.genres[path] for path, _ in songs],
        group_songs(songs, labels.artists),
        _stack(others, len(layer.kernel)),
    )


def _stack(rows: list[NDArray[np.float32]], width: int) -> NDArray[np.float32]:
    return np.stack(rows) if rows else np.empty((0, width), np.float32)


def _report(songs: TaughtSongs, lesson: Lesson, unlabelled: int) -> Iterator[str]:
    """Describe what was learned, before the model is written."""
    counts = Counter(songs.genres)
    artists = {
        genre: len({int(g) for g, one in zip(songs.groups, songs.genres, strict=True)
                    if one == genre})
        for genre in counts
    }  # fmt: skip
    yield f"Learned {count_of(len(counts), 'genre')} from {count_of(len(songs.genres), 'song')}."
    if unlabelled:
        yield f"{count_of(unlabelled, 'song')} without a genre."
    evaluation = lesson.evaluation
    by_genre = recalls(songs, evaluation) if evaluation else {}
    width = max(len("genre"), *(len(printable(genre)) for genre in counts))
    yield ""
    yield f"{'genre':<{width}}  songs  groups  correct"
    for genre, count in sorted(counts.items()):
        share = f"{by_genre[genre]:>8.0%}" if genre in by_genre else f"{'?':>8}"
        yield f"{printable(genre):<{width}}{count:>7,}{artists[genre]:>8,}{share}"
    yield ""
    if evaluation:
        yield from _describe_evaluation(songs, evaluation)
    else:
        yield "The accuracy is unknown: no genre has songs of two artists or albums."
    few = [printable(genre) for genre, count in sorted(counts.items()) if count < FEW_SONGS]
    if few:
        yield f"Too few songs: {', '.join(few)}; give at least {FEW_SONGS} of each."


def _describe_evaluation(songs: TaughtSongs, evaluation: Evaluation) -> Iterator[str]:
    genres = [songs.genres[i] for i in evaluation.songs]
    correct = [one == other for one, other in zip(genres, evaluation.predicted, strict=True)]
    mean_recall = np.mean(list(recalls(songs, evaluation).values()))
    yield (
        f"On songs of other artists and albums: {np.mean(correct):.1%} of"
        f" {count_of(len(genres), 'song')} correct, mean of the genres {mean_recall:.1%}."
    )
    points = ", ".join(f"{count}: {recall:.1%}" for count, recall in evaluation.curve)
    if points:
        yield f"With fewer songs a genre, mean of the genres: {points}."
    pairs = [pair for pair in confusions(songs, evaluation) if pair[2]][:_SHOWN_CONFUSIONS]
    if pairs:
        shown = ", ".join(f"{printable(a)} and {printable(b)} {share:.0%}" for a, b, share in pairs)
        yield f"Most confused: {shown}."
    for one, other, share in pairs:
        if share >= CONFUSED_SHARE:
            a, b = printable(one), printable(other)
            yield f'{a} and {b} can\'t be told apart; to merge them, add "{a}" = "{b}" to --map.'


def main() -> None:
    """Run the command."""
    run(learn_genres)


if __name__ == "__main__":
    main()
