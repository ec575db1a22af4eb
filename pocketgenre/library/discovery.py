"""Find the songs below folders."""

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pocketgenre.constants import SONG_SUFFIXES
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.ignore_files import MARK, PATTERNS, IgnoreRules

_SUFFIXES = tuple(SONG_SUFFIXES)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")

_IGNORED_FOLDERS = {"#recycle", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
"""Names of folders of deleted files, and of data of the system, in lower case."""


@dataclass(frozen=True, slots=True)
class SongFile:
    """A song's file.

    Attributes
    ----------
    path : absolute path; a string, since creating a Path takes longer than finding the file
    size : size [bytes]; -1 if unknown
    modified_ns : modification time [ns since 1970]; -1 if unknown
    """

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class FileFilter:
    """Selection of the files below a folder.

    Hidden files and folders (thumbnails, trash, the ``._`` files of macOS), folders of deleted
    files, and what ``.nomedia`` and ``.ndignore`` name are always left out.

    Attributes
    ----------
    follow_links : follow links to folders, each folder once
    exclude : patterns such as ``Audiobooks`` or ``*/Live/*``, compared with names and with paths
        relative to the folder
    """

    follow_links: bool = True
    exclude: tuple[str, ...] = ()


ALL_FILES = FileFilter()
_NO_RULES = IgnoreRules()


@dataclass(frozen=True)
class FolderListing:
    """The songs below a folder, or below several.

    Attributes
    ----------
    folder : absolute path without links, to which names are relative
    files : songs in the order of their paths
    unlistable : paths of folders below it that can't be listed
    roots : absolute paths of the listed folders and files; only ``folder`` if empty
    linked : paths of links to folders that were followed
    messages : about links to folders: those that lead out of the folder, and those that are not
        followed, with the reason
    broken_links : paths of links that point to nothing
    other_files : number of visible files that are no songs, by suffix
    excluded : number of files and folders that are left out by a pattern or a mark
    """

    folder: Path
    files: tuple[SongFile, ...]
    unlistable: tuple[str, ...]
    roots: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    broken_links: tuple[str, ...] = ()
    other_files: Mapping[str, int] = field(default_factory=dict)
    excluded: int = 0


def list_songs(folder: Path, file_filter: FileFilter = ALL_FILES) -> FolderListing:
    """Find the songs below a folder by their suffixes; or return a single song.

    Links to folders are followed, each folder once. A link to a file counts as a file.

    Raises
    ------
    PocketGenreError
        if the folder can't be listed.
    """
    if is_address(folder) and not folder.exists():
        raise PocketGenreError(
            f"{display_address(folder)} is an address; add --cluster to read songs from it."
        )
    # A library with two names must not be in the catalogue twice.
    root = os.path.realpath(folder)
    if folder.is_file() and is_song_name(folder.name):
        path = os.path.join(os.path.realpath(folder.parent), folder.name)  # noqa: PTH118
        return FolderListing(Path(path).parent, (stat_file(path),), (), (path,))
    if not folder.is_dir():
        problem = "is neither a folder nor a song" if folder.exists() else "does not exist"
        raise PocketGenreError(f"{folder} {problem}; name the folder that holds your music.")
    walk = _Walk(root, file_filter)
    try:
        walk.visit(root)
    except OSError as error:
        raise PocketGenreError(f"{folder} cannot be read: {error.strerror}.") from error
    walk.visit_links()
    return walk.listing()


def list_subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder that :func:`list_songs` visits, sorted.

    Raises
    ------
    OSError
        if the folder can't be listed.
    """
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if not entry.name.startswith(".")
            and entry.name.lower() not in _IGNORED_FOLDERS
            and _is_folder(entry)
        ]
    return sorted(name for name in names if not _is_marked(folder / name))


def list_all_songs(
    folders: Sequence[Path], list_one: Callable[[Path], FolderListing] = list_songs
) -> FolderListing:
    """Find the songs below several folders, each song once.

    Parameters
    ----------
    folders : folders or songs, at least one
    list_one : function that lists one of them
    """
    listings = [list_one(folder) for folder in folders]
    if len(listings) == 1:
        return listings[0]
    files = {file.path: file for listing in listings for file in listing.files}
    others: Counter[str] = Counter()
    for listing in listings:
        others.update(listing.other_files)

    def merged(name: str) -> tuple[str, ...]:
        return tuple(sorted({value for one in listings for value in getattr(one, name)}))

    return FolderListing(
        Path(os.path.commonpath([listing.folder for listing in listings])),
        tuple(sorted(files.values(), key=lambda file: file.path)),
        merged("unlistable"),
        tuple(root for listing in listings for root in roots_of(listing)),
        merged("linked"),
        merged("messages"),
        merged("broken_links"),
        others,
        sum(listing.excluded for listing in listings),
    )


def roots_of(listing: FolderListing) -> tuple[str, ...]:
    """Return the paths of the listed folders and files."""
    return listing.roots or (str(listing.folder),)


class _Walk:
    """Search of a folder for songs."""

    def __init__(self, root: str, file_filter: FileFilter) -> None:
        self._root = root
        self._filter = file_filter
        patterns = [fnmatch.translate(pattern.strip("/")) for pattern in file_filter.exclude]
        self._exclude = re.compile("|".join(patterns)) if patterns else None
        self._files: list[SongFile] = []
        self._unlistable: list[str] = []
        self._messages: list[str] = []
        self._broken: list[str] = []
        self._others: Counter[str] = Counter()
        self._excluded = 0
        self._visited: dict[tuple[int, int], str] = {}
        self._waiting_links: dict[str, IgnoreRules] = {}
        self._linked: list[str] = []

    def visit(self, top: str, rules: IgnoreRules = _NO_RULES) -> None:
        """Visit a folder and its subfolders, and remember links to folders.

        Parameters
        ----------
        top : path of the folder
        rules : rules of the folders above it
        """
        waiting = [(top, rules)]
        while waiting:
            current, rules = waiting.pop()
            try:
                status = os.stat(current)  # noqa: PTH116
                key = status.st_dev, status.st_ino
                if key in self._visited:  # a folder that is mounted in two places
                    self._messages.append(f"{current} is the same folder as {self._visited[key]}")
                    continue
                self._visited[key] = current
                with os.scandir(current) as entries:
                    waiting += self._visit_entries(current, list(entries), rules)
            except OSError:
                if current == self._root:
                    raise
                self._unlistable.append(current)

    def visit_links(self) -> None:
        """Visit the targets of links to folders that have not been visited."""
        while self._waiting_links:
            links, self._waiting_links = sorted(self._waiting_links.items()), {}
            for link, rules in links:
                self._visit_link(link, rules)

    def listing(self) -> FolderListing:
        """Return what was found."""
        self._files.sort(key=lambda file: file.path)
        return FolderListing(
            Path(self._root),
            tuple(self._files),
            tuple(sorted(self._unlistable)),
            linked=tuple(self._linked),
            messages=tuple(self._messages),
            broken_links=tuple(self._broken),
            other_files=self._others,
            excluded=self._excluded,
        )

    def _visit_link(self, link: str, rules: IgnoreRules) -> None:
        target = os.path.realpath(link)
        if not self._filter.follow_links:
            self._messages.append(f"{link} is a link to a folder and is not followed (--no-follow)")
            return
        try:
            status = os.stat(link)  # noqa: PTH116
        except OSError:
            self._unlistable.append(link)
            return
        visited = self._visited.get((status.st_dev, status.st_ino))
        if (link + os.sep).startswith(target.rstrip(os.sep) + os.sep):
            self._messages.append(f"{link} is a loop: it leads to {target}")
        elif visited:
            self._messages.append(f"{link} is a link to {visited}, which is scanned already")
        else:
            if not target.startswith(self._root.rstrip(os.sep) + os.sep):
                self._messages.append(f"{link} leads out of the folder and is scanned: {target}")
            self._linked.append(link)
            self.visit(link, rules)

    def _visit_entries(
        self, folder: str, entries: list[os.DirEntry[str]], above: IgnoreRules
    ) -> Iterator[tuple[str, IgnoreRules]]:
        rules = above.enter(folder, {entry.name for entry in entries})
        if rules is None:
            self._excluded += 1
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            is_folder = _is_folder(entry)
            if self._is_excluded(entry) or rules.ignores(entry.path, is_folder):
                self._excluded += 1
            elif is_folder:
                if entry.name.lower() in _IGNORED_FOLDERS:
                    self._excluded += 1
                elif entry.is_symlink():
                    self._waiting_links[entry.path] = rules
                else:
                    yield entry.path, rules
            elif is_song_name(entry.name):
                self._files.append(stat_file(entry.path))
            elif entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
                self._broken.append(entry.path)
            else:
                self._others[os.path.splitext(entry.name)[1].lower()] += 1  # noqa: PTH122

    def _is_excluded(self, entry: os.DirEntry[str]) -> bool:
        if self._exclude is None:
            return False
        relative = entry.path.removeprefix(self._root).lstrip(os.sep).replace(os.sep, "/")
        return any(self._exclude.match(name) is not None for name in (entry.name, relative))


def is_address(path: Path | str) -> bool:
    """Check whether a path is an address such as ``s3://bucket/music``.

    pathlib reduces ``s3://bucket`` to ``s3:/bucket``, the form in listings and in the catalogue.
    Paths of files are absolute, so they can't be confused with addresses.
    """
    return _ADDRESS.match(str(path)) is not None


def display_address(path: Path | str) -> str:
    """Return an address with all its slashes; a path is returned unchanged."""
    if not is_address(path):
        return str(path)
    scheme, _, rest = str(path).partition(":/")
    slashes = "///" if scheme == "file" else "//"  # file:// has an empty host
    return f"{scheme}:{slashes}{rest.lstrip('/')}"


def local_path(address: Path) -> Path:
    """Convert ``file://`` to a path; other addresses are returned unchanged."""
    text = str(address)
    if not text.startswith("file:/"):
        return address
    return Path("/", text.removeprefix("file:/").lstrip("/"))


def is_song_name(name: str) -> bool:
    """Check whether a file name is visible and has the suffix of a song."""
    return not name.startswith(".") and name.lower().endswith(_SUFFIXES)


def stat_file(path: str) -> SongFile:
    """Return a file with its size and time, following links; -1 for both if unreadable."""
    try:
        status = os.stat(path)  # noqa: PTH116  # takes a third of the time of Path.stat
    except OSError:
        return SongFile(path, -1, -1)
    return SongFile(path, status.st_size, status.st_mtime_ns)


def _is_marked(folder: Path) -> bool:
    names = [name for name in (MARK, PATTERNS) if (folder / name).exists()]
    return _NO_RULES.enter(str(folder), names) is None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Check whether an entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        return False
