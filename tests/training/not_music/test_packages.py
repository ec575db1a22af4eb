"""Extracted files stay inside the folder, and their size is limited."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from pocketgenre.training.errors import DataError
from pocketgenre.training.not_music import packages
from pocketgenre.training.not_music.packages import extract_tar, extract_zip


def write_tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
    return path


def member(name: str, size: int = 4, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = 0 if link else size
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    return info


def extract(archive: Path, folder: Path, *, everything: bool = False) -> list[str]:
    """Extract an archive as the output of dpkg-deb, and list the files."""
    code = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
    command = [sys.executable, "-c", code, str(archive)]
    folder.mkdir()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        extract_tar(process, folder, everything=everything)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def test_only_audio_inside_the_folder_is_extracted(tmp_path: Path) -> None:
    archive = write_tar(
        tmp_path / "a.tar",
        member("./usr/a.ogg"),
        member("../outside.ogg"),
        member("/absolute.ogg"),
        member("./usr/program"),
        member("./usr/link.ogg", link="/etc/passwd"),
    )
    assert extract(archive, tmp_path / "files") == ["absolute.ogg", "usr/a.ogg"]
    assert not (tmp_path / "outside.ogg").exists()


def test_program_links_stay_inside(tmp_path: Path) -> None:
    archive = write_tar(
        tmp_path / "a.tar",
        member("./lib/a.so.1"),
        member("./lib/a.so", link="a.so.1"),
        member("./lib/out.so", link="../../out"),
        member("./lib/root.so", link="/etc/passwd"),
    )
    extracted = extract(archive, tmp_path / "files", everything=True)
    assert extracted == ["lib/a.so", "lib/a.so.1"]


def test_zip_in_a_package_is_extracted(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("sound/a.ogg", "../outside.ogg", "/absolute.ogg", "map.bsp"):
            archive.writestr(name, b"1234")
    info = member("./data/pak0.pk3", len(content.getvalue()))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(info, io.BytesIO(content.getvalue()))
    assert extract(tmp_path / "a.tar", tmp_path / "files") == ["data/pak0.pk3.d/sound/a.ogg"]


def test_damaged_zip_has_no_audio(tmp_path: Path) -> None:
    (tmp_path / "a.pk3").write_bytes(b"PK no archive")
    extract_zip(tmp_path / "a.pk3", tmp_path / "files")
    assert not list((tmp_path / "files").iterdir())


@pytest.mark.parametrize(
    ("limit", "value"),
    [("MAX_FILE_BYTES", 3), ("MAX_PACKAGE_BYTES", 7), ("MAX_PACKAGE_FILES", 1)],
)
def test_large_package_is_refused(
    limit: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, limit, value)
    archive = write_tar(tmp_path / "a.tar", member("a.ogg"), member("b.ogg"))
    with pytest.raises(DataError, match="than expected"):
        extract(archive, tmp_path / "files")


def test_damaged_package_is_refused(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", member("a.ogg", 2000))
    archive.write_bytes(archive.read_bytes()[:700])
    with pytest.raises(DataError, match="is damaged"):
        extract(archive, tmp_path / "files")
