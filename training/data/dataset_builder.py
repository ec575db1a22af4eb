"""Build a data set from labelled songs, in one file or in shards."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.cli.scan_progress import describe_listing
from pocketgenre.features.config import FeatureConfig
from pocketgenre.jobs.executors import Executor
from pocketgenre.library.discovery import (
    FolderListing,
    is_address,
    list_songs,
    list_subfolders,
)
from pocketgenre.text import count_of, printable
from pocketgenre.training.data.dataset import (
    DATASET_FILE,
    FEATURES_FILE,
    MFCC_SONGS_FILE,
    SPECTRA_ARRAY,
    Dataset,
    save_dataset,
    save_index,
)
from pocketgenre.training.data.feature_files import (
    FileContent,
    PreparedSong,
    find_duplicates,
    find_files,
    pairs_of_equal_digests,
    prepare_songs,
    remove_feature_files,
    song_fingerprints,
)
from pocketgenre.training.data.genre_checks import (
    genres_of_one_group,
    require_decodable_genres,
)
from pocketgenre.training.data.groups import group_songs
from pocketgenre.training.data.labelled_songs import (
    DUPLICATES_FILE,
    LabelledSong,
    read_duplicates,
    require_two_genres,
    songs_from_index,
    songs_from_listing,
)
from pocketgenre.training.data.mel_spectra import SPECTRA_FILE, save_spectra
from pocketgenre.training.data.mfcc_songs import read_mfcc_songs
from pocketgenre.training.data.near_duplicates import (
    COEFFICIENTS,
    MAX_SONGS,
    NEAR_DUPLICATES_FILE,
    Fingerprint,
    NearDuplicate,
    find_near_duplicates,
    has_fingerprints,
    write_near_duplicates,
)
from pocketgenre.training.data.shard_format import write_manifest
from pocketgenre.training.data.shard_writer import (
    find_intact_shards,
    plan_shards,
    remove_other_shards,
    shard_fingerprints,
    write_shards,
)
from pocketgenre.training.data.storage import Store
from pocketgenre.training.errors import DataError
from pocketgenre.training.runs import TrainingConfig

_SINGLE_FILES = (FEATURES_FILE, SPECTRA_ARRAY, SPECTRA_FILE, MFCC_SONGS_FILE)

_SHOWN_NAMES = 3

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class DatasetBuilder:
    """Build a data set from labelled songs.

    Attributes
    ----------
    audio : folder or address of the songs
    store : store of the data set
    feature_config : parameters of the features
    executor : executor that computes the features
    on_message : function called with each message, one sentence
    on_progress : function called with a task's description, the number of songs done, and their
        total: at the start of the task and after each song
    near_duplicates : True to find near duplicates and to keep them together in splits
    """

    audio: Path
    store: Store
    feature_config: FeatureConfig
    executor: Executor
    on_message: Callable[[str], None] = lambda _: None
    on_progress: Callable[[str, int, int], None] = lambda *_: None
    near_duplicates: bool = True

    def list_songs(self, index: Path | None = None) -> list[LabelledSong]:
        """List the songs of an index file, or else of the genre folders in the audio folder.

        Raises
        ------
        PocketGenreError
            if fewer than two genres are found, or none of a genre's songs can be decoded.
        """
        empty: set[str] = set()
        if index:
            songs = songs_from_index(index)
        else:
            listing = self._list_folders()
            songs = songs_from_listing(listing)
            if not is_address(self.audio):
                folders = {song.path.parts[0] for song in songs}
                empty = set(list_subfolders(self.audio)) - folders
        grouped = group_songs(songs, self._listed_duplicates())
        require_decodable_genres(grouped, empty, self.audio, self.executor)
        require_two_genres(songs, index or self.audio)
        for genre in genres_of_one_group(grouped):
            self.on_message(
                f"Warning: all songs of {genre} are of one group, such as one song or one artist;"
                " train-model cannot split them."
            )
        return songs

    def _list_folders(self) -> FolderListing:
        """List the songs in the audio folder by the rules of the scanner, and report the rest."""
        if not is_address(self.audio) and not self.audio.is_dir():
            raise DataError(
                f"{self.audio} is not a folder; it must contain a folder for each genre."
            )
        find = self.executor.list_songs if is_address(self.audio) else list_songs
        listing = find(self.audio)
        for sentence in describe_listing(listing):
            self.on_message(sentence)
        for path in listing.unlistable:
            self.on_message(f"{printable(path)} cannot be read.")
        outside = [f.path for f in listing.files if Path(f.path).parent == listing.folder]
        if outside:
            more = ", ..." if len(outside) > _SHOWN_NAMES else ""
            names = ", ".join(printable(Path(path).name) for path in outside[:_SHOWN_NAMES])
            verb = "is" if len(outside) == 1 else "are"
            self.on_message(
                f"Left out {count_of(len(outside), 'song')} that {verb} in no genre folder:"
                f" {names}{more}."
            )
        return listing

    def build(
        self,
        songs: Sequence[LabelledSong],
        mfcc_songs: Path | None = None,
        *,
        spectra: bool = False,
    ) -> Dataset:
        """Build a data set whose features are in one file.

        Parameters
        ----------
        songs : labelled songs
        mfcc_songs : file of additional songs, as
            :func:`~pocketgenre.training.data.mfcc_songs.read_mfcc_songs` reads it
        spectra : True to keep the mel spectra of whole songs too

        Returns
        -------
        the finished data set.

        Raises
        ------
        PocketGenreError
            if no song of a genre can be read, or a file cannot be written.
        """
        folder = self.store.location
        prepared = self._prepare(songs, "segments")
        self._report_left_out((item.song, item.error) for item in prepared if item.error)
        exact = find_duplicates(prepared, self.store)
        near = self._find_near_duplicates(
            exact,
            len(prepared),
            lambda: song_fingerprints(prepared, self.store, self.feature_config),
        )
        pairs = self._pairs_kept_together(songs, exact, near)
        kept = _group_readable(songs, [item.song for item in prepared if item.file], pairs)
        # Spectra and MFCC songs refer to the songs and groups of the previous data set.
        self.store.remove([DATASET_FILE, SPECTRA_FILE, MFCC_SONGS_FILE])
        write_near_duplicates(near, self.store)
        feature_files = [folder / item.file for item in prepared if item.file]

        def write_extras(dataset: Dataset) -> None:
            if spectra:
                items = self._prepare(dataset.songs, "spectra")
                save_spectra(dataset, [folder / item.file for item in items if item.file])
            if mfcc_songs:
                additional = read_mfcc_songs(mfcc_songs, dataset, pairs)
                additional.save(folder)
                count = count_of(len(additional.targets), "additional song")
                self.on_message(f"{mfcc_songs}: {count} given by their MFCC.")

        dataset = save_dataset(
            folder, self.audio, self.feature_config, kept, feature_files, write_extras
        )
        remove_feature_files(self.store)
        remove_other_shards(self.store, ())
        self._summarise(kept, dataset.segment_counts.tolist())
        return dataset

    def build_shards(self, songs: Sequence[LabelledSong], songs_per_shard: int) -> None:
        """Build a data set whose features are in shards; existing intact shards are kept.

        Parameters
        ----------
        songs : labelled songs
        songs_per_shard : number of songs in a shard; the last shard may have fewer

        Raises
        ------
        PocketGenreError
            as :meth:`build`.
        """
        files = find_files(songs, self.audio, self.executor)
        plans = plan_shards(files, self.feature_config, songs_per_shard)
        written = find_intact_shards(plans, self.store, self.executor)
        if written:
            self.on_message(f"Found {count_of(len(written), 'intact shard')} of {len(plans)}.")
        missing = [plan for plan in plans if plan.name not in written]
        advance = self._start_task("segments", sum(len(plan.files) for plan in missing))
        for shard in write_shards(
            missing, self.store, self.feature_config, self.executor, lambda _: advance()
        ):
            written[shard.name] = shard
        shards = [written[plan.name] for plan in plans]
        by_name = {song.name: song for song in songs}
        self._report_left_out((by_name[one.song], one.reason) for s in shards for one in s.left_out)
        counts = {n: c for s in shards for n, c in zip(s.songs, s.counts, strict=True)}
        digests = {n: d for s in shards for n, d in zip(s.songs, s.digests, strict=True)}
        exact = pairs_of_equal_digests(digests)
        near = self._find_near_duplicates(
            exact,
            len(counts),
            lambda: shard_fingerprints(shards, self.store, self.feature_config, self.executor),
        )
        pairs = self._pairs_kept_together(songs, exact, near)
        kept = _group_readable(songs, [by_name[name] for name in counts], pairs)
        self.store.remove([DATASET_FILE])
        write_near_duplicates(near, self.store)
        write_manifest(shards, self.store)
        segments = list(counts.values())
        save_index(self.store, self.audio, self.feature_config, kept, segments, len(shards))
        self.store.remove(_SINGLE_FILES)
        remove_feature_files(self.store)
        remove_other_shards(self.store, shards)
        self._summarise(kept, segments)

    def _prepare(self, songs: Sequence[LabelledSong], content: FileContent) -> list[PreparedSong]:
        advance = self._start_task(content, len(songs))
        files = find_files(songs, self.audio, self.executor)
        prepared = []
        for item in prepare_songs(files, self.store, self.feature_config, self.executor, content):
            prepared.append(item)
            advance()
        return sorted(prepared, key=lambda item: item.song.name)

    def _start_task(self, content: FileContent, total: int) -> Callable[[], None]:
        """Report the start of a task; return the function to call after each song."""
        description, done = f"Computing {content} of {count_of(total, 'song')}", 0
        self.on_progress(description, done, total)

        def advance() -> None:
            nonlocal done
            done += 1
            self.on_progress(description, done, total)

        return advance

    def _listed_duplicates(self) -> Pairs:
        file = self.audio / DUPLICATES_FILE
        return read_duplicates(file) if file.exists() else []

    def _report_left_out(self, left_out: Iterable[tuple[LabelledSong, str]]) -> None:
        for song, reason in left_out:
            self.on_message(f"Left out {printable(str(song.path))}: {reason}.")

    def _find_near_duplicates(
        self, exact: Pairs, songs: int, compute: Callable[[], dict[str, Fingerprint]]
    ) -> list[NearDuplicate]:
        """Find songs with a stretch of one recording, each set of exact duplicates as one song.

        Parameters
        ----------
        exact : pairs of songs with the same features
        songs : number of songs
        compute : function that computes the fingerprint of each song
        """
        if not self.near_duplicates:
            return []
        if not has_fingerprints(self.feature_config) or songs > MAX_SONGS:
            self.on_message(
                "Near duplicates are not searched: that needs more than"
                f" {COEFFICIENTS} coefficients and at most {count_of(MAX_SONGS, 'song')}."
            )
            return []
        fingerprints = compute()
        for _, copy in exact:
            del fingerprints[copy]
        near = find_near_duplicates(fingerprints)
        if near:
            self.on_message(
                f"Found {count_of(len(near), 'pair')} of near duplicates, which splits keep"
                f" together; {self.store.location / NEAR_DUPLICATES_FILE} lists them."
            )
        return near

    def _pairs_kept_together(
        self, songs: Sequence[LabelledSong], exact: Pairs, near: Sequence[NearDuplicate]
    ) -> Pairs:
        """Return all pairs that splits keep together, and report those with two genres."""
        self._report_two_genres(songs, exact, near)
        return [*exact, *((pair.song, pair.other) for pair in near), *self._listed_duplicates()]

    def _report_two_genres(
        self, songs: Sequence[LabelledSong], exact: Pairs, near: Sequence[NearDuplicate]
    ) -> None:
        """Report recordings that have two genres."""
        genre = {song.name: song.genre for song in songs}
        found = [(one, other, "the same recording") for one, other in exact]
        found += [(pair.song, pair.other, "near duplicates") for pair in near]
        for one, other, described in found:
            if genre[one] != genre[other]:
                first, second = sorted((one, other))
                self.on_message(
                    f"Warning: {printable(first)} ({genre[first]}) and {printable(second)}"
                    f" ({genre[second]}) are {described}; remove the wrong one."
                )

    def _summarise(self, songs: Sequence[LabelledSong], counts: Sequence[int]) -> None:
        genres = sorted({song.genre for song in songs})
        of_genre = Counter[str]()
        for song, count in zip(songs, counts, strict=True):
            of_genre[song.genre] += count
        for song, count in zip(songs, counts, strict=True):
            if count > of_genre[song.genre] / 2 and count > TrainingConfig.max_segments:
                self.on_message(
                    f"Warning: {printable(song.name)} has {count} of the"
                    f" {of_genre[song.genre]} segments of {song.genre}; train-model takes"
                    f" {TrainingConfig.max_segments} of a song (--max-segments)."
                )
        groups = count_of(len({song.group for song in songs}), "group")
        self.on_message(
            f"{self.store.location}: {count_of(len(songs), 'song')},"
            f" {count_of(sum(counts), 'segment')}, {groups} of songs that splits keep together,"
            f" {count_of(len(genres), 'genre')}: {', '.join(genres)}."
        )


def _group_readable(
    songs: Sequence[LabelledSong], readable: Sequence[LabelledSong], pairs: Pairs
) -> list[LabelledSong]:
    """Group the readable songs; refuse if a genre has none."""
    empty = {song.genre for song in songs} - {song.genre for song in readable}
    if empty:
        raise DataError(f"No song of {', '.join(sorted(empty))} could be read.")
    return group_songs(readable, pairs)
