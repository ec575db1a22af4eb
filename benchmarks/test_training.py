"""Compare training from disk with training in memory, and its memory at two sizes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.training.data.dataset import Dataset, save_dataset
from pocketgenre.training.data.groups import group_songs
from pocketgenre.training.data.labelled_songs import LabelledSong

GENRES = ("jazz", "metal", "pop")


def write_dataset(folder: Path, segments: int) -> Dataset:
    """Write random features, 50 segments per song."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    songs, parts = [], []
    for number in range(segments // 50):
        part = folder / f"{number}.npy"
        np.save(part, rng.normal(size=(50, *MFCC_CONFIG.shape)).astype(np.float32))
        songs.append(LabelledSong(str(number), Path(part.name), GENRES[number % 3]))
        parts.append(part)
    dataset = save_dataset(folder, folder, MFCC_CONFIG, group_songs(songs), parts)
    for part in parts:
        part.unlink()
    return dataset


@pytest.fixture(scope="module")
def gtzan_sized(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("features") / "data", 10_000)


def compiled_cnn(dataset: Dataset):
    import keras

    from pocketgenre.training.models.networks import build_network

    keras.utils.set_random_seed(1)
    ones = np.ones(MFCC_CONFIG.n_mfcc, np.float32)
    model = build_network("cnn", MFCC_CONFIG.shape, len(dataset.labels), 0 * ones, ones)
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.benchmark(group="One epoch of the CNN over 10,000 segments")
def test_fit_on_arrays_in_memory(benchmark, gtzan_sized: Dataset) -> None:
    model = compiled_cnn(gtzan_sized)
    x, y = np.array(gtzan_sized.features), gtzan_sized.segment_targets
    model.fit(x, y, batch_size=32, verbose=0)
    benchmark.pedantic(lambda: model.fit(x, y, batch_size=32, verbose=0), rounds=5)


@pytest.mark.benchmark(group="One epoch of the CNN over 10,000 segments")
def test_batches_from_disk_with_checkpoints(
    benchmark, gtzan_sized: Dataset, tmp_path: Path
) -> None:
    from pocketgenre.training.data.batches import training_batches
    from pocketgenre.training.models.checkpoints import Checkpoints

    model = compiled_cnn(gtzan_sized)
    segments = np.arange(len(gtzan_sized.segment_songs))
    steps = -(-len(segments) // 32)

    def epoch() -> None:
        model.fit(
            training_batches(gtzan_sized, segments, 32, seed=1),
            steps_per_epoch=steps,
            callbacks=[Checkpoints(tmp_path, {}, 0, lambda _: None)],
            shuffle=False,
            verbose=0,
        )

    epoch()
    benchmark.pedantic(epoch, rounds=5)


@pytest.mark.benchmark(
    group="Memory: peak of train-model in one epoch, by the size of the features"
)
@pytest.mark.parametrize("segments", [5_000, 100_000], ids=["32 MB", "644 MB"])
def test_train_model(benchmark, tmp_path: Path, segments: int) -> None:
    """Measure anonymous memory, since mapped features belong to the system's cache."""
    write_dataset(tmp_path / "data", segments)
    code = (
        "import threading, time\n"
        "peak = [0]\n"
        "def measure():\n"
        "    while True:\n"
        "        text = open('/proc/self/status').read()\n"
        "        peak[0] = max(peak[0], int(text.split('RssAnon:')[1].split()[0]))\n"
        "        time.sleep(0.05)\n"
        "threading.Thread(target=measure, daemon=True).start()\n"
        "from pocketgenre.training.cli.train_model import train_model, run\n"
        "try: run(train_model)\n"
        "finally: print(peak[0])\n"
    )
    options = ["--epochs", "1", "--batch-size", "256", "--out", str(tmp_path / "run")]
    output = benchmark.pedantic(
        lambda: subprocess.check_output(
            [sys.executable, "-c", code, str(tmp_path / "data"), *options],
            text=True,
            stderr=subprocess.DEVNULL,
        ),
        rounds=1,
    )
    benchmark.extra_info["peak_mb"] = int(output.split()[-1]) // 1024
