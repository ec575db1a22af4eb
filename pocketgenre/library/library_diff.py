"""Compare a folder with the catalogue: find the files that a scan has to classify."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pocketgenre.library.catalog import CatalogEntry
from pocketgenre.library.discovery import FolderListing, SongFile, is_address, roots_of
from pocketgenre.library.file_hash import hash_or_none


@dataclass(frozen=True)
class ScanRequest:
    """Results that a scan has to obtain.

    Attributes
    ----------
    model : SHA-256 of the model
    segments : number of segments of each song, 0 for all
    retry_failed : True to try unchanged files again that failed before
    features_base : hash of the network without its last layer, from whose features songs are
        labelled without being decoded; None without that
    only_features : True if features of this network suffice, whichever model labelled the song
    """

    model: str
    segments: int = 0
    retry_failed: bool = False
    features_base: bytes | None = None
    only_features: bool = False


@dataclass(frozen=True)
class LibraryDiff:
    """Difference between a folder and the catalogue.

    Attributes
    ----------
    unchanged : files whose entries are valid
    returned : unchanged files, or files to relabel, that were marked as vanished
    moved : (old path, new file) of files with the same content; they need no inference
    to_classify : files that are new, changed, or not yet classified by this model
    vanished : paths of files that are gone
    known : number of files that were there at the last scan of these folders
    to_relabel : unchanged files labelled by another model, whose features are in the catalogue
    restored : files whose results were taken from a backup
    """

    unchanged: tuple[SongFile, ...]
    returned: tuple[SongFile, ...]
    moved: tuple[tuple[str, SongFile], ...]
    to_classify: tuple[SongFile, ...]
    vanished: tuple[str, ...]
    known: int
    to_relabel: tuple[SongFile, ...] = ()
    restored: tuple[SongFile, ...] = ()

    @property
    def has_lost_most(self) -> bool:
        """True if more than half of the songs are gone, as when a drive is not mounted."""
        return len(self.vanished) > self.known / 2


def diff_library(
    listing: FolderListing, entries: Iterable[CatalogEntry], request: ScanRequest
) -> LibraryDiff:
    """Compare a folder with the catalogue. Only files that may have moved are read.

    Parameters
    ----------
    listing : the folder as it is
    entries : the whole catalogue, since a song may have been moved from another folder
    request : results that a scan has to obtain
    """
    by_path = {entry.path: entry for entry in entries}
    unchanged: list[SongFile] = []
    returned: list[SongFile] = []
    new: list[SongFile] = []
    to_relabel: list[SongFile] = []
    for file in listing.files:
        entry = by_path.get(file.path)
        if entry is None or not _is_valid(entry, file, request):
            if entry is None or not _can_relabel(entry, file, request):
                new.append(file)
                continue
            to_relabel.append(file)
            if entry.is_vanished:
                returned.append(file)
        elif entry.is_vanished:
            returned.append(file)
        else:
            unchanged.append(file)
    found = {file.path for file in listing.files}
    moved = _find_moved(new, by_path, found, request)
    moved_to = {file.path for _, file in moved}
    present = _find_present(listing, by_path)
    vanished = _find_vanished(listing, present, found) - {old for old, _ in moved}
    return LibraryDiff(
        tuple(unchanged),
        tuple(returned),
        tuple(moved),
        tuple(file for file in new if file.path not in moved_to),
        tuple(sorted(vanished)),
        len(present),
        tuple(to_relabel),
    )


def _is_valid(entry: CatalogEntry, file: SongFile, request: ScanRequest) -> bool:
    if entry.has_failed and (entry.is_transient or request.retry_failed):
        return False
    return _is_same_file(entry, file) and _satisfies(entry, request)


def _can_relabel(entry: CatalogEntry, file: SongFile, request: ScanRequest) -> bool:
    has_features = entry.features_base is not None and entry.features_base == request.features_base
    return has_features and _is_same_file(entry, file) and _has_segments(entry, request)


def _is_same_file(entry: CatalogEntry, file: SongFile) -> bool:
    return entry.size == file.size and entry.modified_ns == file.modified_ns


def _satisfies(entry: CatalogEntry, request: ScanRequest) -> bool:
    """Check the model, or that of the features, and the number of segments."""
    if request.only_features and not entry.has_failed:
        return entry.features_base == request.features_base and _has_segments(entry, request)
    return entry.model == request.model and _has_segments(entry, request)


def _has_segments(entry: CatalogEntry, request: ScanRequest) -> bool:
    """Check the number of segments: all segments satisfy any request."""
    return entry.requested_segments == 0 or 0 < request.segments <= entry.requested_segments


def _find_moved(
    new: Iterable[SongFile],
    by_path: dict[str, CatalogEntry],
    found: set[str],
    request: ScanRequest,
) -> list[tuple[str, SongFile]]:
    sizes = {file.size for file in new}
    missing: dict[int, list[CatalogEntry]] = defaultdict(list)
    for entry in by_path.values():
        if (
            entry.size in sizes
            and entry.file_hash is not None
            and not entry.has_failed
            and entry.path not in found
            and not is_address(entry.path)  # this machine can't check whether it is gone
            and _satisfies(entry, request)
            and not os.path.lexists(entry.path)
        ):
            missing[entry.size].append(entry)
    moved = []
    for file in new:
        candidates = missing.get(file.size, [])
        digest = hash_or_none(file.path) if candidates else None
        match = next((entry for entry in candidates if entry.file_hash == digest), None)
        if match:
            candidates.remove(match)
            moved.append((match.path, file))
    return moved


def _find_present(listing: FolderListing, by_path: dict[str, CatalogEntry]) -> list[str]:
    """Return the files that were in the listed folders at the last scan."""
    roots = roots_of(listing)
    is_inside = _is_below(roots)
    return [
        path
        for path, entry in by_path.items()
        if not entry.is_vanished and (is_inside(path) or path in roots)
    ]


def _find_vanished(listing: FolderListing, present: list[str], found: set[str]) -> set[str]:
    is_unlisted = _is_below([*listing.unlistable, *listing.broken_links])
    # A file that is there was left out of the listing on purpose.
    return {
        path
        for path in present
        if path not in found
        and not is_unlisted(path)
        and (is_address(path) or not os.path.lexists(path))
    }


def _is_below(folders: Iterable[str]) -> Callable[[str], bool]:
    prefixes = tuple(
        folder.rstrip("/" if is_address(folder) else os.sep)
        + ("/" if is_address(folder) else os.sep)
        for folder in folders
    )
    return lambda path: path.startswith(prefixes)
