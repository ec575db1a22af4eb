"""What a scan has to do: the difference between a folder and what the catalogue knows of it."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.library.catalog import CatalogEntry
from pocketgenre.library.discovery import FolderListing, SongFile, is_address
from pocketgenre.library.file_hash import hash_file


@dataclass(frozen=True)
class Wanted:
    """What a scan is after.

    Attributes
    ----------
    model : SHA-256 of the model that is to listen
    segments : how many segments of each song, 0 for all of them
    failed_again : whether to try again what failed and has not changed since
    """

    model: str
    segments: int = 0
    failed_again: bool = False


@dataclass(frozen=True)
class LibraryDiff:
    """What is to be done for each file; together they are the folder and what is gone from it.

    Attributes
    ----------
    unchanged : as the catalogue knows them
    returned : known as vanished, and back as they were
    moved : old path and new file; the same content, so there is no need to listen
    listen : new, changed, or not yet heard by this model
    vanished : paths of those that were there and are no longer
    """

    unchanged: tuple[SongFile, ...]
    returned: tuple[SongFile, ...]
    moved: tuple[tuple[str, SongFile], ...]
    listen: tuple[SongFile, ...]
    vanished: tuple[str, ...]


def compare(listing: FolderListing, known: Iterable[CatalogEntry], wanted: Wanted) -> LibraryDiff:
    """Find out what has changed; only files that may have moved are looked into.

    Parameters
    ----------
    listing : the folder as it is
    known : the whole catalogue, since a song may come from another folder
    """
    by_path = {one.path: one for one in known}
    unchanged, returned, new = [], [], []
    for file in listing.files:
        before = by_path.get(file.path)
        if before is None or not _still_holds(before, file, wanted):
            new.append(file)
        elif before.vanished:
            returned.append(file)
        else:
            unchanged.append(file)
    found = {file.path for file in listing.files}
    moved = _find_moved(new, by_path, found, wanted)
    there = {file.path for _, file in moved}
    gone = _gone(listing, by_path, found) - {old for old, _ in moved}
    return LibraryDiff(
        tuple(unchanged),
        tuple(returned),
        tuple(moved),
        tuple(file for file in new if file.path not in there),
        tuple(sorted(gone)),
    )


def _still_holds(before: CatalogEntry, file: SongFile, wanted: Wanted) -> bool:
    if before.failed and (before.passing or wanted.failed_again):
        return False
    same = before.size == file.size and before.modified_ns == file.modified_ns
    return same and _heard_enough(before, wanted)


def _heard_enough(before: CatalogEntry, wanted: Wanted) -> bool:
    """All segments are good for any number of them, some for as many or fewer."""
    if before.model != wanted.model:
        return False
    return before.asked == 0 or 0 < wanted.segments <= before.asked


def _find_moved(
    new: Iterable[SongFile], by_path: dict[str, CatalogEntry], found: set[str], wanted: Wanted
) -> list[tuple[str, SongFile]]:
    sizes = {file.size for file in new}
    lost: dict[int, list[CatalogEntry]] = defaultdict(list)
    for one in by_path.values():
        if (
            one.size in sizes
            and one.content is not None
            and not one.failed
            and one.path not in found
            and not is_address(one.path)  # whether it is still there, this machine can't say
            and _heard_enough(one, wanted)
            and not os.path.lexists(one.path)
        ):
            lost[one.size].append(one)
    moved = []
    for file in new:
        candidates = lost.get(file.size, [])
        content = _content(file.path) if candidates else None
        match = next((one for one in candidates if one.content == content), None)
        if match:
            candidates.remove(match)
            moved.append((match.path, file))
    return moved


def _gone(listing: FolderListing, by_path: dict[str, CatalogEntry], found: set[str]) -> set[str]:
    inside = _is_below([str(listing.folder)])
    unknown = _is_below(listing.unlistable)
    return {
        path
        for path, one in by_path.items()
        if not one.vanished and path not in found and inside(path) and not unknown(path)
    }


def _is_below(folders: Iterable[str]) -> Callable[[str], bool]:
    beginnings = tuple(folder.rstrip("/") + "/" for folder in folders)
    return lambda path: path.startswith(beginnings)


def _content(path: str) -> bytes | None:
    try:
        return hash_file(Path(path))
    except OSError:
        return None
