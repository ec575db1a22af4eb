"""Read the files by which players leave folders and songs out: ``.nomedia`` and ``.ndignore``.

Android leaves out a folder with ``.nomedia``. Navidrome leaves out a folder with an empty
``.ndignore``; otherwise the file lists patterns, as a ``.gitignore`` does.
"""

import fnmatch
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = ".nomedia"
PATTERNS = ".ndignore"

_MAX_BYTES = 1 << 16
"""Number of bytes that are read of a file with patterns."""


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """Rules that hold in a folder: those of its own file, and of the folders above it.

    Attributes
    ----------
    rules : folder and patterns of each file, the outermost first
    """

    rules: tuple[tuple[str, "tuple[_Pattern, ...]"], ...] = ()

    def enter(self, folder: str, names: Collection[str]) -> "IgnoreRules | None":
        """Return the rules in a folder, or None if the whole folder is left out.

        Parameters
        ----------
        folder : path of the folder
        names : names of its files
        """
        if MARK in names:
            return None
        if PATTERNS not in names:
            return self
        lines = _read_lines(Path(folder, PATTERNS))
        if not lines:
            return None
        return IgnoreRules((*self.rules, (folder, tuple(_parse(line) for line in lines))))

    def ignores(self, path: str, is_folder: bool) -> bool:
        """Check whether a file or folder is left out; the last pattern that matches decides."""
        for folder, patterns in reversed(self.rules):
            parts = Path(path.removeprefix(folder).strip(os.sep)).parts
            for pattern in reversed(patterns):
                if pattern.matches(parts, is_folder):
                    return not pattern.is_exception
        return False


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line of a file with patterns.

    Attributes
    ----------
    parts : one expression per folder or file name; None is any number of names (``**``)
    is_exception : what matches is not left out (``!``)
    is_for_folders : only folders match (a slash at the end)
    """

    parts: tuple[re.Pattern[str] | None, ...]
    is_exception: bool
    is_for_folders: bool

    def matches(self, names: Sequence[str], is_folder: bool) -> bool:
        if self.is_for_folders and not is_folder:
            return False
        # Positions in the pattern that the names so far can reach, so that no pattern takes long.
        reached = self._skip({0})
        for name in names:
            after = set()
            for position in reached - {len(self.parts)}:
                part = self.parts[position]
                if part is None:
                    after.add(position)
                elif part.match(name):
                    after.add(position + 1)
            reached = self._skip(after)
        return len(self.parts) in reached

    def _skip(self, positions: set[int]) -> set[int]:
        """Add the positions after each ``**``, which also matches no name."""
        for position, part in enumerate(self.parts):
            if part is None and position in positions:
                positions.add(position + 1)
        return positions


def _read_lines(path: Path) -> list[str]:
    """Return the patterns of a file; none if it is empty or unreadable."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(_MAX_BYTES).splitlines()
    except OSError:
        return []
    return [line.rstrip() for line in lines if line.strip() and not line.startswith("#")]


def _parse(line: str) -> _Pattern:
    is_exception = line.startswith("!")
    text = line.removeprefix("!").removeprefix("\\")
    parts = text.strip("/").split("/")
    if "/" not in text.rstrip("/"):  # a name at any depth
        parts.insert(0, "**")
    expressions = (None if p == "**" else re.compile(fnmatch.translate(p)) for p in parts)
    return _Pattern(tuple(expressions), is_exception, text.endswith("/"))
