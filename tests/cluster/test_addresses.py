"""Songs in a store that is no file system; fsspec's in memory, with a cluster in this process."""

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
from pocketgenre.cluster.fsspec_files import FsspecStore, fetched, list_address
from pocketgenre.cluster.parquet import write_parquet
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import display_address, is_address, list_songs, local_path
from pocketgenre.library.labelled import genres_of
from pocketgenre.library.library_diff import Wanted
from pocketgenre.library.scan import listen, look, settle
from pocketgenre.library.serialize import song_fields
from tests.conftest import Command
from tests.library.conftest import names
from tests.library.fake_models import listener
from tests.library.songs import failed_song, labelled, song


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster that shares this process's memory."""
    with (
        LocalCluster(1, 2, processes=False, dashboard_address=":0", local_directory=tmp_path) as it,
        Client(it, set_as_default=False),
    ):
        yield it.scheduler_address


def test_songs_are_listed_by_their_endings_and_hidden_ones_passed_over(store) -> None:
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


class ModelRegistry(MemoryFileSystem):
    """A store that is listed folder by folder, as most file systems of fsspec are."""

    protocol = "shelf"
    find = fsspec.AbstractFileSystem.find

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("shelf://").strip("/")

    def ls(self, path: str, detail: bool = True, **kwargs):
        if path.endswith("/private"):
            raise PermissionError("not for you")
        entries = super().ls(path, detail, **kwargs)
        links = [entry for entry in entries if entry["name"].endswith("linked.mp3")]
        for entry in links:
            entry["type"] = "link"  # as SFTP says
        return entries


fsspec.register_implementation("shelf", ModelRegistry)


def test_a_name_with_colons_is_a_name(store, tmp_path: Path) -> None:
    store.pipe("/music/a.mp3", b"one")
    store.pipe("/music/a.mp3::live.mp3", b"another")
    files = list_address(Path("shelf://music")).files
    assert [Path(file.path).name for file in files] == ["a.mp3", "a.mp3::live.mp3"]
    with fetched(files[1].path, 10, str(tmp_path)) as copy:
        assert Path(copy).read_bytes() == b"another"


def test_a_folder_that_cannot_be_listed_is_named(store) -> None:
    for name in ("a.mp3", "private/b.mp3", "open/c.mp3", "linked.mp3"):
        store.pipe(f"/music/{name}", b"song")
    listing = list_address(Path("shelf://music"))
    assert {Path(file.path).name for file in listing.files} == {"a.mp3", "c.mp3", "linked.mp3"}
    assert listing.unlistable == ("shelf:/music/private",)
    with pytest.raises(PocketGenreError, match="cannot be listed: not for you"):
        list_address(Path("shelf://music/private"))


def test_an_address_is_no_path_and_file_is_a_path() -> None:
    for address in ("s3://bucket/x", "gs://b", "memory:/x", Path("s3://bucket/x")):
        assert is_address(address)
    for path in ("/s3:/x", "music", "./s3", "a/b:/c", ""):
        assert not is_address(path)
    for address in ("file:///music/a b", "file:/music/a b"):
        assert local_path(Path(address)) == Path("/music/a b")


def test_an_address_is_named_as_it_was_typed(store) -> None:
    for address in ("s3://bucket/x", "memory://nothing", "file:///music/a"):
        assert display_address(Path(address)) == display_address(address) == address
    for path in ("/music/a", "s3"):
        assert display_address(Path(path)) == path
    with pytest.raises(PocketGenreError, match=r"^s3://bucket/x is an address; with --cluster,"):
        list_songs(Path("s3://bucket/x"))
    with pytest.raises(PocketGenreError, match=r"^shelf://music/nothing cannot be listed"):
        list_address(Path("shelf://music/nothing"))


def test_an_address_that_cannot_be_opened_is_refused_before_the_scan(
    run_command: Command, library: Path
) -> None:
    out = ["--format", "parquet", "--out", "nothing://bucket/songs.parquet"]
    result = run_command("pocketgenre.cli.scan_library", library, *out)
    assert result.returncode == 1
    assert "nothing:// cannot be opened: Protocol not known" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_fetched_song_has_no_name_that_could_stay_behind(store, tmp_path: Path) -> None:
    store.pipe("/music/a.mp3", b"song" * 1000)
    with fetched("memory:/music/a.mp3", 10, str(tmp_path)) as copy:
        assert Path(copy).read_bytes() == b"song" * 1000
        assert not list(tmp_path.iterdir())
    assert not Path(copy).exists()
    with pytest.raises(OSError), fetched("memory:/music/b.mp3", 10, str(tmp_path)):  # noqa: PT011
        pass
    with pytest.raises(TimeoutError), fetched("memory:/music/a.mp3", -1, str(tmp_path)):
        pass


def test_a_song_that_is_too_large_is_not_fetched(
    store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocketgenre.cluster.fsspec_files._MOST_BYTES", 3 << 20)
    store.pipe("/music/a.mp3", bytes((3 << 20) + 1))
    with (
        pytest.raises(OSError, match="larger than"),
        fetched("memory:/music/a.mp3", 10, str(tmp_path)),
    ):
        pass


def test_a_scan_of_an_address_hears_what_a_scan_of_its_copy_hears(
    store, here: str, library: Path, tmp_path: Path
) -> None:
    from pocketgenre.jobs.worker_process import ModelEar
    from pocketgenre.models.model_card import read_model
    from pocketgenre.models.pretrained import PRETRAINED

    for path in library.iterdir():
        store.pipe(f"/music/{path.name}", path.read_bytes())
    store.pipe("/music/text.mp3", b"not music" * 100)
    (tmp_path / "copy").mkdir()
    store.get("/music", f"{tmp_path}/copy", recursive=True)
    content, card = read_model(PRETRAINED["standard"])
    tables = []
    with open_cluster(here) as engine, Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        how = listener(engine=engine, open_ear=ModelEar(content, card))
        for folder in (Path("memory://music"), next((tmp_path / "copy").rglob("text.mp3")).parent):
            _, changes = look(folder, catalog, Wanted(card.sha256), engine.list_songs)
            settle(changes, catalog)
            assert not changes.moved  # equal songs at an address are no lost files
            assert len(list(listen(changes.listen, catalog, how))) == 6
            tables.append({s.path.name: (s.error, s.probabilities) for s in catalog.songs(folder)})
            _, changes = look(folder, catalog, Wanted(card.sha256), engine.list_songs)
            assert len(changes.unchanged) == 6
            assert not changes.vanished
    assert tables[0].keys() == tables[1].keys()
    for name, (error, probabilities) in tables[0].items():
        assert error == tables[1][name][0]
        np.testing.assert_array_equal(probabilities, tables[1][name][1])


def test_a_song_that_does_not_come_is_tried_again_by_the_next_scan(
    store, here: str, tmp_path: Path
) -> None:
    for name in ("a.mp3", "lost.mp3"):
        store.pipe(f"/music/{name}", name.encode())
    with open_cluster(here) as engine, Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        files = engine.list_songs(Path("memory://music")).files
        store.rm("/music/lost.mp3")
        done = list(listen(files, catalog, listener(engine=engine)))
        assert names(done) == ["a.mp3", "lost.mp3"]
        (failed,) = [known for known in catalog.known() if known.failed]
        assert failed.path == "memory:/music/lost.mp3"
        assert failed.passing


def test_a_bucket_keeps_files_as_a_folder_does(store) -> None:
    bucket = FsspecStore(Path("memory://data"))
    with bucket.create("parts/a") as file:
        file.write(b"1234")
    with suppress(KeyboardInterrupt), bucket.create("parts/b") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert bucket.names("parts") == {"a"}
    assert bucket.names("nowhere") == set()
    with bucket.open("parts/a") as file:
        assert file.read() == b"1234"
    with pytest.raises(FileNotFoundError), bucket.open("parts/b"):
        pass
    bucket.remove(["parts/a", "parts/b"])
    assert bucket.names("parts") == set()


def test_parquet_has_the_fields_of_json_with_types(tmp_path: Path, store) -> None:
    odd = os.fsdecode(b"odd \xff.mp3")
    songs = labelled(
        song("/music/a.mp3", ["rock", "rock", "jazz"]),
        song("/music/long.mp3", ["rock"] * 10 + ["jazz"] * 10),
        song(f"/music/{odd}"),
        failed_song("/music/b.mp3"),
    )
    write_parquet(songs, genres_of(songs), tmp_path / "songs.parquet")
    rows = pq.read_table(tmp_path / "songs.parquet").to_pylist()
    assert rows[2].pop("path") == "odd \\udcff.mp3"
    expected = [song_fields(one) for one in songs]
    del expected[2]["path"]
    assert rows == expected
    assert [path.name for path in tmp_path.iterdir()] == ["songs.parquet"]
    write_parquet(songs, genres_of(songs), Path("memory://results/songs.parquet"))
    assert store.cat("/results/songs.parquet") == (tmp_path / "songs.parquet").read_bytes()


def test_parquet_where_no_song_is_labelled_has_their_errors(tmp_path: Path) -> None:
    songs = labelled(failed_song("/music/b.mp3"))
    write_parquet(songs, genres_of(songs), tmp_path / "songs.parquet")
    (row,) = pq.read_table(tmp_path / "songs.parquet").to_pylist()
    assert row == song_fields(songs[0])


def test_a_scan_writes_parquet_and_so_does_the_catalogue(
    library: Path, tmp_path: Path, run_command
) -> None:
    catalog = ["--catalog", tmp_path / "c.sqlite", "--format", "parquet", "--out"]
    result = run_command(
        "pocketgenre.cli.scan_library", library, *catalog, tmp_path / "scan.parquet"
    )
    assert result.returncode == 0, result.stderr
    options = [*catalog, tmp_path / "pocketgenre.export.parquet", "--folder", library]
    assert run_command("pocketgenre.cli.export_catalog", *options).returncode == 0
    scan, export = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("scan", "export"))
    assert scan.equals(export)
    assert scan.num_rows == 5
