"""Compare the page's decoders of ALAC, ADPCM and uncompressed samples with those of the package."""

import base64
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from pocketgenre.demo.synthetic import write_audio
from tests.web.rule_calls import RuleCalls

RATE = 44_100
ALAC_HEADER = 12
"""Bytes of the box around the configuration."""


def music(channels: int, seconds: float = 0.5) -> np.ndarray:
    """Return a sweep with a loud click, noise, and silence: float32 [shape=(n, channels)]."""
    rng = np.random.default_rng(1)
    t = np.arange(round(seconds * RATE)) / RATE
    sweep = 0.5 * np.sin(2 * np.pi * (200 + 3_000 * t) * t)
    samples = np.stack([sweep, 0.3 * sweep + rng.normal(scale=0.1, size=len(t))], axis=1)
    samples[2_000] = 0.99, -0.99
    samples[-6_000:] = 0.0
    return samples[:, :channels].astype(np.float32)


def content(data: bytes) -> dict[str, str]:
    return {"bytes": base64.b64encode(data).decode()}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("depth", [16, 24])
def test_alac_is_decoded_to_the_bit(
    rules: RuleCalls, tmp_path: Path, channels: int, depth: int
) -> None:
    path = tmp_path / "song.m4a"
    write_alac(path, music(channels), depth)
    with av.open(str(path)) as file:
        (stream,) = file.streams
        extradata = bytes(stream.codec_context.extradata or b"")[ALAC_HEADER:]
        packets = [packet for packet in file.demux(stream) if packet.size]
        frames = [frame.to_ndarray() for packet in packets for frame in packet.decode()]
    (config,) = rules(("readAlacConfig", content(extradata)))
    decoded = rules(*(("decodeAlac", content(bytes(packet)), config) for packet in packets))
    assert [config["bitDepth"], config["channels"]] == [depth, channels]
    expected = np.concatenate(frames, axis=1)
    scale = 2.0 ** -(8 * expected.dtype.itemsize - 1)
    assert np.array_equal(np.concatenate(decoded, axis=1), expected * scale)


def write_alac(path: Path, samples: np.ndarray, depth: int) -> None:
    sample_format, kind = {16: ("s16p", np.int16), 24: ("s32p", np.int32)}[depth]
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    # FFmpeg's encoder takes the upper 24 bits of 32.
    integers = np.round(samples * (2 ** (depth - 1) - 1)).astype(kind) << (depth == 24) * 8
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("alac", rate=RATE, layout=layout, format=sample_format)
        for start in range(0, len(samples), 4_096):
            part = np.ascontiguousarray(integers[start : start + 4_096].T)
            frame = av.AudioFrame.from_ndarray(part, format=sample_format, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def test_damaged_alac_ends_with_error(rules: RuleCalls, tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    write_alac(path, music(2), 16)
    with av.open(str(path)) as file:
        (stream,) = file.streams
        extradata = bytes(stream.codec_context.extradata or b"")[ALAC_HEADER:]
        packets = [bytes(packet) for packet in file.demux(stream) if packet.size]
    (config,) = rules(("readAlacConfig", content(extradata)))
    rng = np.random.default_rng(0)
    damaged = [packets[0][:100], b"\0", b"\xff" * 50]
    for _ in range(200):
        noisy = bytearray(packets[0])
        for at in rng.integers(0, len(noisy), size=3):
            noisy[at] = rng.integers(0, 256)
        damaged.append(bytes(noisy))
    results = rules(*(("decodeAlac", content(packet), config) for packet in damaged))
    messages = {result for result in results if isinstance(result, str)}
    assert all(isinstance(result, str) for result in results[:3])
    assert messages <= {
        "the packet ends early", "unknown element", "too many channels", "invalid element",
        "missing channels", "a run beyond the packet",
    }  # fmt: skip


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("subtype", "code"), [("MS_ADPCM", 2), ("IMA_ADPCM", 17)])
def test_adpcm_is_decoded_to_the_bit(
    rules: RuleCalls, tmp_path: Path, channels: int, subtype: str, code: int
) -> None:
    path = tmp_path / "song.wav"
    write_audio(path, music(channels), RATE, "WAV", subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    data = path.read_bytes()
    block = int.from_bytes(data[32:34], "little")
    start = data.index(b"data") + 8
    size = int.from_bytes(data[start - 4 : start], "little")
    blocks = [data[at : at + block] for at in range(start, start + size, block)]
    decoded = rules(*(("decodeAdpcm", code, content(one), channels) for one in blocks))
    samples = np.concatenate(decoded, axis=1).T
    assert (
        0 <= len(samples) - len(expected) < len(samples) // len(blocks)
    )  # the last block is filled
    assert np.array_equal(samples[: len(expected)], expected)


PCM = {
    "PCM_S8": ("NONE", 8),
    "PCM_16": ("NONE", 16),
    "PCM_24": ("NONE", 24),
    "PCM_32": ("NONE", 32),
    "FLOAT": ("FL32", 32),
    "DOUBLE": ("FL64", 64),
}
"""Compression and bits in the header, by libsndfile's name."""


@pytest.mark.parametrize("subtype", PCM)
def test_aiff_samples_are_equal(rules: RuleCalls, tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "song.aiff"
    write_audio(path, music(2), RATE, "AIFF", subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    data = path.read_bytes()
    start = data.index(b"SSND") + 16
    (sample_format,) = rules(("aiffFormat", *PCM[subtype]))
    (decoded,) = rules(("decodePcm", content(data[start:]), sample_format, 2))
    assert np.array_equal(np.asarray(decoded, np.float32).T[: len(expected)], expected)


def test_little_endian_samples_are_equal(rules: RuleCalls) -> None:
    (sample_format,) = rules(("aiffFormat", "sowt", 16))
    values = np.array([0, 1, -1, 32_767, -32_768, 258], "<i2")
    (decoded,) = rules(("decodePcm", content(values.tobytes()), sample_format, 2))
    assert np.array_equal(np.asarray(decoded).T.ravel(), values / 2**15)


@pytest.mark.parametrize(("compression", "bits"), [("ima4", 16), ("ulaw", 8), ("NONE", 40)])
def test_compressed_aiff_has_no_format(rules: RuleCalls, compression: str, bits: int) -> None:
    results: list[Any] = rules(("aiffFormat", compression, bits))
    assert results == [None]
