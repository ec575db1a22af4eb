"""Batches from shards cover each epoch, differ by host, and can be resumed."""

from itertools import chain, islice

import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.sharded_batches import epoch_steps, sharded_training_batches
from pocketgenre.training.errors import DataError
from tests.training.fabricated import fabricate_dataset, in_shards

BATCH = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    whole = fabricate_dataset(folder / "whole", {"jazz": [3, 5, 4, 2], "rock": [4, 4, 1, 7]})
    return in_shards(whole, folder / "shards", 2)


def read_batches(
    data: Dataset, segments, first_epoch=0, host=0, hosts=1, steps=None
) -> list[list[int]]:
    """Return the positions of each batch's segments after checking features and targets."""
    count = epoch_steps(len(segments), BATCH, hosts) // hosts if steps is None else steps
    batches = sharded_training_batches(data, segments, BATCH, 3, first_epoch, host, hosts)
    whole = np.asarray(data.features)
    positions = []
    for x, y in islice(batches.as_numpy_iterator(), count):
        found = [int(np.flatnonzero((whole == one).all(axis=(1, 2)))[0]) for one in x]
        np.testing.assert_array_equal(y, data.segment_targets[found])
        positions.append(found)
    return positions


def flatten(batches: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(batches))


def test_epoch_of_one_host_has_every_segment(data: Dataset) -> None:
    segments = np.array([0, 1, 2, 5, 7, 8, 13, 14, 20, 21, 25, 28])
    batches = read_batches(data, segments)
    assert sorted(flatten(batches)) == segments.tolist()
    assert flatten(batches) != segments.tolist()  # shuffled
    assert batches != read_batches(data, segments, first_epoch=1)
    assert batches == read_batches(data, segments)


def test_hosts_read_different_shards(data: Dataset) -> None:
    segments = np.arange(len(data.features))
    shares = [
        set(flatten(read_batches(data, segments, host=h, hosts=2, steps=10))) for h in range(2)
    ]
    assert not shares[0] & shares[1]
    assert shares[0] | shares[1] == set(segments.tolist())
    for share in shares:  # whole shards
        owners = np.searchsorted(data.features.starts, sorted(share), side="right") - 1
        assert len(share) == sum(data.shards[owner].segments for owner in set(owners.tolist()))


@pytest.mark.parametrize(("host", "hosts"), [(0, 1), (1, 2)])
def test_resumed_training_continues_with_the_same_batches(
    data: Dataset, host: int, hosts: int
) -> None:
    segments = np.arange(3, 29)
    each = epoch_steps(len(segments), BATCH, hosts) // hosts
    whole = read_batches(data, segments, host=host, hosts=hosts, steps=3 * each)
    resumed = read_batches(data, segments, first_epoch=2, host=host, hosts=hosts, steps=each)
    assert resumed == whole[2 * each :]


def test_more_hosts_than_shards_are_refused(data: Dataset) -> None:
    with pytest.raises(DataError, match="has 1 shard to train on, too few for 2 hosts"):
        read_batches(data, np.array([0, 1]), hosts=2)


def test_hosts_take_the_same_number_of_steps() -> None:
    assert epoch_steps(13, 6) == 3
    assert epoch_steps(13, 6, 2) == 4
    assert epoch_steps(12, 6, 2) == 2
