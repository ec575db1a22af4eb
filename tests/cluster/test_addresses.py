"""Use songs in an object store: fsspec's memory file system, with a cluster in this process."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster
from fsspec.implementations.memory import MemoryFileSystem

from pocketgenre.cluster.dask_executor import open_cluster
from pocketgenre.cluster.fsspec_files import FsspecStore, list_address, local_copy
from pocketgenre.cluster.parquet import write_parquet
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import display_address, is_address, list_songs, local_path
from pocketgenre.library.library_song import genres_of
from pocketgenre.library.scan import apply_changes, scan_files
from pocketgenre.library.serialize import song_fields
from tests.conftest import Command
from tests.library.conftest import find_changes, names_of
from tests.library.fake_models import scan_config
from tests.library.songs import failed_song, song


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()


@pytest.fixture
def local_cluster(tmp_path: Path) -> Iterator[str]:
    """Address of a cluster that shares the memory of this process."""
    with (
        LocalCluster(1, 2, processes=False, dashboard_address=":0", local_directory=tmp_path) as it,
        Client(it, set_as_default=False),
    ):
        yield it.scheduler_address


def test_address_lists_songs_without_hidden_ones(store) -> None:
    for name in ("a.mp3", "b/c.FLAC", "b/cover.jpg", "b/._c.flac", ".hidden/d.mp3", "e//f.mp3"):
        store.pipe(f"/music/{name}", name.encode())
    listing = list_address(Path("memory://music"))
    assert [file.path for file in listing.files] == [
        "memory:/music/a.mp3",
        "memory:/music/b/c.FLAC",
    ]
    assert [file.size for file in listing.files] == [5, 8]
    assert all(file.modified_ns > 10**18 for file in listing.files)
    assert listing == list_address(Path("memory:/music"))
    for address in ("nothing://music", "s3://music"):  # no such scheme; s3fs is not installed
        with pytest.raises(PocketGenreError):
            list_address(Path(address))


class FolderStore(MemoryFileSystem):
    """Store that is listed folder by folder, like most file systems of fsspec."""

    protocol = "folders"
    find = fsspec.AbstractFileSystem.find

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("folders://").strip("/")

    def ls(self, path: str, detail: bool = True, **kwargs):
        if path.endswith("/private"):
            raise PermissionError("access denied")
        entries = super().ls(path, detail, **kwargs)
        links = [entry for entry in entries if entry["name"].endswith("linked.mp3")]
        for entry in links:
            entry["type"] = "link"  # as SFTP reports links
        return entries


fsspec.register_implementation("folders", FolderStore)


def test_colons_in_name_do_not_chain_addresses(store, tmp_path: Path) -> None:
    store.pipe("/music/a.mp3", b"one")
    store.pipe("/music/a.mp3::live.mp3", b"another")
    files = list_address(Path("folders://music")).files
    assert [Path(file.path).name for file in files] == ["a.mp3", "a.mp3::live.mp3"]
    with local_copy(files[1].path, 10, str(tmp_path)) as copy:
        assert Path(copy).read_bytes() == b"another"


def test_unlistable_folder_is_reported(store) -> None:
    for name in ("a.mp3", "private/b.mp3", "open/c.mp3", "linked.mp3"):
        store.pipe(f"/music/{name}", b"song")
    listing = list_address(Path("folders://music"))
    assert {Path(file.path).name for file in listing.files} == {"a.mp3", "c.mp3", "linked.mp3"}
    assert listing.unlistable == ("folders:/music/private",)
    with pytest.raises(PocketGenreError, match="cannot be listed: access denied"):
        list_address(Path("folders://music/private"))


def test_addresses_and_paths_are_distinguished() -> None:
    for address in ("s3://bucket/x", "gs://b", "memory:/x", Path("s3://bucket/x")):
        assert is_address(address)
    for path in ("/s3:/x", "music", "./s3", "a/b:/c", ""):
        assert not is_address(path)
    for address in ("file:///music/a b", "file:/music/a b"):
        assert local_path(Path(address)) == Path("/music/a b")


def test_address_is_displayed_as_typed(store) -> None:
    for address in ("s3://bucket/x", "memory://nothing", "file:///music/a"):
        assert display_address(Path(address)) == display_address(address) == address
    for path in ("/music/a", "s3"):
        assert display_address(Path(path)) == path
    with pytest.raises(PocketGenreError, match=r"^s3://bucket/x is an address; add --cluster"):
        list_songs(Path("s3://bucket/x"))
    with pytest.raises(PocketGenreError, match=r"^folders://music/nothing cannot be listed"):
        list_address(Path("folders://music/nothing"))


def test_invalid_output_address_is_refused_first(run_command: Command, library: Path) -> None:
    out = ["--format", "parquet", "--out", "nothing://bucket/songs.parquet"]
    result = run_command("pocketgenre.cli.scan_library", library, *out)
    assert result.returncode == 1
    assert "nothing:// cannot be opened: Protocol not known" in result.stderr
    assert result.stderr.count("\n") == 1


def test_local_copy_has_no_name(store, tmp_path: Path) -> None:
    store.pipe("/music/a.mp3", b"song" * 1000)
    with local_copy("memory:/music/a.mp3", 10, str(tmp_path)) as copy:
        assert Path(copy).read_bytes() == b"song" * 1000
        assert not list(tmp_path.iterdir())
    assert not Path(copy).exists()
    with pytest.raises(OSError), local_copy("memory:/music/b.mp3", 10, str(tmp_path)):  # noqa: PT011
        pass
    with pytest.raises(TimeoutError), local_copy("memory:/music/a.mp3", -1, str(tmp_path)):
        pass


def test_too_large_song_is_not_copied(
    store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgenre.cluster.fsspec_files._MAX_BYTES", 3 << 20)
    store.pipe("/music/a.mp3", bytes((3 << 20) + 1))
    with (
        pytest.raises(OSError, match="larger than"),
        local_copy("memory:/music/a.mp3", 10, str(tmp_path)),
    ):
        pass


def test_scan_of_address_equals_scan_of_copy(
    store, local_cluster: str, library: Path, tmp_path: Path
) -> None:
    from pocketgenre.inference import InferenceSetup
    from pocketgenre.models.model_card import read_model
    from pocketgenre.models.pretrained import PRETRAINED

    for path in library.iterdir():
        store.pipe(f"/music/{path.name}", path.read_bytes())
    store.pipe("/music/text.mp3", b"not music" * 100)
    (tmp_path / "copy").mkdir()
    store.get("/music", f"{tmp_path}/copy", recursive=True)
    content, card = read_model(PRETRAINED["standard"])
    tables = []
    with (
        open_cluster(local_cluster) as executor,
        Catalog(tmp_path / "c.sqlite", create=True) as catalog,
    ):
        config = scan_config(executor=executor, setup=InferenceSetup(content, card))
        for folder in (Path("memory://music"), next((tmp_path / "copy").rglob("text.mp3")).parent):
            _, diff = find_changes(folder, catalog, config.request(), executor.list_songs)
            apply_changes(diff, catalog)
            assert not diff.moved  # entries at an address do not count as moved files
            assert len(list(scan_files(diff.to_classify, catalog, config))) == 6
            tables.append({s.path.name: (s.error, s.prediction) for s in catalog.songs(folder)})
            _, diff = find_changes(folder, catalog, config.request(), executor.list_songs)
            assert len(diff.unchanged) == 6
            assert not diff.vanished
    assert tables[0].keys() == tables[1].keys()
    for name, (error, prediction) in tables[0].items():
        other_error, other = tables[1][name]
        assert error == other_error
        assert (prediction is None) == (other is None)
        if prediction and other:
            np.testing.assert_array_equal(
                prediction.segment_probabilities, other.segment_probabilities
            )


def test_missing_song_is_a_transient_failure(store, local_cluster: str, tmp_path: Path) -> None:
    for name in ("a.mp3", "lost.mp3"):
        store.pipe(f"/music/{name}", name.encode())
    with (
        open_cluster(local_cluster) as executor,
        Catalog(tmp_path / "c.sqlite", create=True) as catalog,
    ):
        files = executor.list_songs(Path("memory://music")).files
        store.rm("/music/lost.mp3")
        scanned = list(scan_files(files, catalog, scan_config(executor=executor)))
        assert names_of(scanned) == ["a.mp3", "lost.mp3"]
        (failed,) = [entry for entry in catalog.entries() if entry.has_failed]
        assert failed.path == "memory:/music/lost.mp3"
        assert failed.is_transient


def test_store_keeps_only_complete_files(store) -> None:
    opened = FsspecStore(Path("memory://data"))
    with opened.create("parts/a") as file:
        file.write(b"1234")
    with suppress(KeyboardInterrupt), opened.create("parts/b") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert opened.names("parts") == {"a"}
    assert opened.names("nowhere") == set()
    with opened.open("parts/a") as file:
        assert file.read() == b"1234"
    with pytest.raises(FileNotFoundError), opened.open("parts/b"):
        pass
    opened.remove(["parts/a", "parts/b"])
    assert opened.names("parts") == set()


def test_parquet_has_the_fields_of_json(tmp_path: Path, store) -> None:
    odd = os.fsdecode(b"odd \xff.mp3")
    songs = [
        song("/music/a.mp3", ["rock", "rock", "jazz"]),
        song("/music/long.mp3", ["rock"] * 10 + ["jazz"] * 10),
        song(f"/music/{odd}"),
        failed_song("/music/b.mp3"),
    ]
    write_parquet(songs, genres_of(songs), tmp_path / "songs.parquet")
    rows = pq.read_table(tmp_path / "songs.parquet").to_pylist()
    assert rows[2].pop("path") == "odd \\udcff.mp3"
    expected = [song_fields(one) for one in songs]
    del expected[2]["path"]
    assert rows == expected
    assert [path.name for path in tmp_path.iterdir()] == ["songs.parquet"]
    write_parquet(songs, genres_of(songs), Path("memory://results/songs.parquet"))
    assert store.cat("/results/songs.parquet") == (tmp_path / "songs.parquet").read_bytes()


def test_parquet_of_failed_songs_has_their_errors(tmp_path: Path) -> None:
    songs = [failed_song("/music/b.mp3")]
    write_parquet(songs, genres_of(songs), tmp_path / "songs.parquet")
    (row,) = pq.read_table(tmp_path / "songs.parquet").to_pylist()
    assert row == song_fields(songs[0])


def test_scan_and_catalogue_write_equal_parquet(library: Path, tmp_path: Path, run_command) -> None:
    catalog = ["--catalog", tmp_path / "c.sqlite", "--format", "parquet", "--out"]
    result = run_command(
        "pocketgenre.cli.scan_library", library, *catalog, tmp_path / "scan.parquet"
    )
    assert result.returncode == 0, result.stderr
    options = [*catalog, tmp_path / "export.parquet", "--folder", library]
    assert run_command("pocketgenre.cli.export_catalog", *options).returncode == 0
    scan, export = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("scan", "export"))
    assert scan.equals(export)
    assert scan.num_rows == 5
