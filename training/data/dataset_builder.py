"""A data set in the making as a person sees it: how far it is, and what was left out."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.cli.console import print_status, printable, progress
from pocketgenre.features.config import FeatureConfig
from pocketgenre.jobs.executors import Executor
from pocketgenre.library.discovery import is_address
from pocketgenre.training.data.dataset import (
    FEATURES_FILE,
    HEAD,
    MFCC_SONGS_FILE,
    SPECTRA_ARRAY,
    Dataset,
    save_dataset,
    save_index,
)
from pocketgenre.training.data.feature_files import (
    PreparedSong,
    Wanted,
    clear_parts,
    duplicates_by_content,
    find_files,
    prepare_songs,
    same,
)
from pocketgenre.training.data.groups import group_songs
from pocketgenre.training.data.mel_spectra import SPECTRA_FILE, save_spectra
from pocketgenre.training.data.mfcc_songs import read_mfcc_songs
from pocketgenre.training.data.shard_format import Shard, write_manifest
from pocketgenre.training.data.shard_writer import (
    clear_shards,
    make_shards,
    plan_shards,
    sound_shards,
)
from pocketgenre.training.data.songs import (
    DUPLICATES_FILE,
    DataError,
    LabelledSong,
    read_duplicates,
    songs_from_folders,
    songs_from_index,
    songs_from_listing,
)
from pocketgenre.training.data.storage import Store

_ONE_PIECE = (FEATURES_FILE, SPECTRA_ARRAY, SPECTRA_FILE, MFCC_SONGS_FILE)

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class DatasetBuilder:
    """From songs to a data set.

    Attributes
    ----------
    audio : where the songs are
    store : where the data set goes
    feature_config : of the features
    engine : that computes them
    """

    audio: Path
    store: Store
    feature_config: FeatureConfig
    engine: Executor

    def songs(self, index: Path | None) -> list[LabelledSong]:
        """The songs that an index names, or of a folder a genre.

        Raises
        ------
        PocketGenreError
            there are none.
        """
        if index:
            return songs_from_index(index)
        if is_address(self.audio):
            return songs_from_listing(self.engine.list_songs(self.audio))
        return songs_from_folders(self.audio)

    def in_one_piece(
        self, songs: Sequence[LabelledSong], mfcc_songs: Path | None, *, spectra: bool
    ) -> None:
        """A data set whose features are one file.

        Parameters
        ----------
        songs : to be computed
        mfcc_songs : file of more, known by their MFCC
        spectra : whether their whole spectra are kept as well

        Raises
        ------
        PocketGenreError
            a genre has no song that can be read, or something can't be written.
        """
        out = self.store.place
        prepared = self._computed(songs, "segments")
        _list_left_out((item.song, item.error) for item in prepared if item.error)
        pairs = duplicates_by_content(prepared, self.store) + self._named_duplicates()
        kept = _grouped(songs, [item.song for item in prepared if item.part], pairs)
        # What is beside the features is of the songs as they were, and their groups.
        self.store.remove([HEAD, SPECTRA_FILE, MFCC_SONGS_FILE])
        parts = [out / item.part for item in prepared if item.part]

        def write_beside(dataset: Dataset) -> None:
            if spectra:
                whole = self._computed(dataset.songs, "spectra")
                save_spectra(dataset, [out / item.part for item in whole if item.part])
            if mfcc_songs:
                more = read_mfcc_songs(mfcc_songs, dataset, pairs)
                more.save(out)
                print_status(f"{mfcc_songs}: {len(more.targets)} songs known by their MFCC.")

        dataset = save_dataset(out, self.audio, self.feature_config, kept, parts, write_beside)
        self._tidy(())
        self._summarise(kept, len(dataset.segment_songs))

    def in_shards(self, songs: Sequence[LabelledSong], songs_each: int) -> None:
        """A data set whose features are shards; those that are there and sound stay.

        Raises
        ------
        PocketGenreError
            as :meth:`in_one_piece`.
        """
        plans = plan_shards(
            find_files(songs, self.audio, self.engine), self.feature_config, songs_each
        )
        made = sound_shards(plans, self.store, self.engine)
        if made:
            print_status(f"{len(made)} of {len(plans)} shards are there as they were written.")
        todo = [plan for plan in plans if plan.name not in made]
        with progress() as bar:
            total = sum(len(plan.files) for plan in todo)
            task = bar.add_task(f"Computing segments of {total} songs", total=total)
            made |= {
                shard.name: shard
                for shard in make_shards(
                    todo, self.store, self.feature_config, self.engine, lambda _: bar.advance(task)
                )
            }
        shards = [made[plan.name] for plan in plans]
        by_name = {song.name: song for song in songs}
        _list_left_out((by_name[one.song], one.reason) for s in shards for one in s.left_out)
        counts = {n: c for s in shards for n, c in zip(s.songs, s.counts, strict=True)}
        digests = {n: d for s in shards for n, d in zip(s.songs, s.digests, strict=True)}
        pairs = same(digests) + self._named_duplicates()
        kept = _grouped(songs, [by_name[name] for name in counts], pairs)
        self.store.remove([HEAD])
        write_manifest(shards, self.store)
        segments = list(counts.values())
        save_index(self.store, self.audio, self.feature_config, kept, segments, len(shards))
        self.store.remove(_ONE_PIECE)
        self._tidy(shards)
        self._summarise(kept, sum(segments))

    def _computed(self, songs: Sequence[LabelledSong], wanted: Wanted) -> list[PreparedSong]:
        with progress() as bar:
            task = bar.add_task(f"Computing {wanted} of {len(songs)} songs", total=len(songs))
            files = find_files(songs, self.audio, self.engine)
            prepared = []
            for item in prepare_songs(files, self.store, self.feature_config, self.engine, wanted):
                prepared.append(item)
                bar.advance(task)
        return sorted(prepared, key=lambda item: item.song.name)

    def _named_duplicates(self) -> Pairs:
        file = self.audio / DUPLICATES_FILE
        return read_duplicates(file) if file.exists() else []

    def _tidy(self, shards: Collection[Shard]) -> None:
        """Remove what this data set doesn't need, of this preparation and of others before."""
        clear_parts(self.store)
        clear_shards(self.store, shards)

    def _summarise(self, songs: Sequence[LabelledSong], segments: int) -> None:
        genres = sorted({song.genre for song in songs})
        print_status(
            f"{self.store.place}: {len(songs)} songs, {segments} segments,"
            f" {len({song.group for song in songs})} groups of songs that stay together,"
            f" {len(genres)} genres: {', '.join(genres)}."
        )


def _list_left_out(left_out: Iterable[tuple[LabelledSong, str]]) -> None:
    for song, reason in left_out:
        print_status(f"Left out {printable(str(song.path))}: {reason}.")


def _grouped(
    songs: Sequence[LabelledSong], readable: Sequence[LabelledSong], pairs: Pairs
) -> list[LabelledSong]:
    empty = {song.genre for song in songs} - {song.genre for song in readable}
    if empty:
        raise DataError(f"No song of {', '.join(sorted(empty))} could be read.")
    return group_songs(readable, pairs)
