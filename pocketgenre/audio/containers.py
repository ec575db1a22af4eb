"""Find tags, chunks, frames and pages in audio files, from which their length follows."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pocketgenre.audio.source import SongFile

# --- Tags ---


def audio_start(file: SongFile, offset: int = 0) -> int:
    """Return the offset behind ID3v2 tags that begin at ``offset``."""
    while (header := file.search_at(offset, 10))[:3] == b"ID3" and len(header) == 10:
        offset += 10 + _syncsafe(header[6:]) + (10 if header[5] & 0x10 else 0)
    return min(offset, file.size)


def audio_end(file: SongFile) -> int:
    """Return the offset at which tags at the end of the file begin (ID3, APEv2, Lyrics3)."""
    end = file.size
    while size := _trailing_tag_size(file, end):
        end -= size
    return end


def _syncsafe(digits: bytes) -> int:
    number = 0
    for digit in digits:
        number = number << 7 | digit & 0x7F
    return number


def _trailing_tag_size(file: SongFile, end: int) -> int:
    tail = file.search_at(max(0, end - 227), min(227, end))
    size = 0
    if tail[-128:-125] == b"TAG":
        size = 128
    elif tail[-227:-223] == b"TAG+":
        size = 227
    elif tail[-32:-24] == b"APETAGEX":
        length, _, flags = struct.unpack("<III", tail[-20:-8])
        size = length + (32 if flags >> 31 else 0)
    elif tail[-10:-7] == b"3DI":
        size = 20 + _syncsafe(tail[-4:])
    elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
        size = int(tail[-15:-9]) + 15
    return size if size <= end else 0


# --- Chunks: RIFF, RF64, Wave64, AIFF, CAF ---

_UNKNOWN_SIZE = 0x7FFF0000  # programs that write to a pipe state sizes from here to 0xffffffff

_OTHER_CHUNKS = frozenset(
    (
        *(b"LIST", b"JUNK", b"junk", b"PAD ", b"FLLR", b"bext", b"cue ", b"smpl", b"inst"),
        *(b"fact", b"iXML", b"axml", b"chna", b"_PMX", b"PEAK", b"acid", b"DISP", b"afsp"),
        *(b"NAME", b"AUTH", b"(c) ", b"ANNO", b"COMT", b"MARK", b"INST", b"APPL", b"COMM"),
        *(b"FVER", b"CHAN", b"info", b"strg", b"free"),
    )
)
"""Names of chunks without samples, accepted also if their size is wrong."""


@dataclass(frozen=True)
class SampleChunk:
    """Chunk that holds the samples of an uncompressed file.

    Attributes
    ----------
    start : offset of the first sample [bytes]
    size : size that the header states [bytes]; None if it is 0 or a placeholder
    end : offset behind the samples [bytes]: where the next chunk, a tag or the file ends them
    """

    start: int
    size: int | None
    end: int


def find_sample_chunk(file: SongFile) -> SampleChunk | None:
    """Find the samples of a WAV, RF64, Wave64, AIFF or CAF file; None in other files."""
    layout = _chunk_layout(file.search_at(0, 16))
    if layout is None:
        return None
    ds64_size = 0
    for name, start, size in _chunks(file, layout):
        if name == b"ds64":
            ds64_size = int.from_bytes(file.search_at(start + 8, 8), "little")
        elif name in (b"data", b"SSND"):
            skipped = {b"SSND": 8, b"caff": 4}.get(layout.name if name == b"data" else name, 0)
            is_ds64 = size == 0xFFFFFFFF and ds64_size
            return _sample_chunk(file, layout, start, ds64_size if is_ds64 else size, skipped)
    return None


_DS64_SIZES = 20  # offset of the sizes in an RF64 file: bytes of file and samples, sample count


def unknown_rf64_sizes(file: SongFile) -> tuple[int, bytes] | None:
    """Return the offset and the correct sizes of an RF64 file whose header lacks them.

    Programs that write to a pipe set all bits of the sizes. None for other files.
    """
    header = file.search_at(0, _DS64_SIZES + 16)
    if header[:4] != b"RF64" or header[12:16] != b"ds64" or header[-8:] != b"\xff" * 8:
        return None
    chunk = find_sample_chunk(file)
    if chunk is None:
        return None
    return _DS64_SIZES, struct.pack("<QQQ", file.size - 8, chunk.end - chunk.start, 0)


@dataclass(frozen=True)
class _Layout:
    """Layout of the chunks: lengths of identifier and size, byte order, alignment."""

    name: bytes
    first: int
    order: Literal["little", "big"] = "little"
    id_bytes: int = 4
    size_bytes: int = 4
    alignment: int = 2
    includes_header: bool = False


_LAYOUTS = (
    _Layout(b"RIFF", 12),
    _Layout(b"RF64", 12),
    _Layout(b"RIFX", 12, "big"),
    _Layout(b"FORM", 12, "big"),
    _Layout(b"caff", 8, "big", size_bytes=8, alignment=1),
    _Layout(b"riff", 40, id_bytes=16, size_bytes=8, alignment=8, includes_header=True),
)


def _chunk_layout(header: bytes) -> _Layout | None:
    return next((layout for layout in _LAYOUTS if layout.name == header[:4]), None)


def _chunks(
    file: SongFile, layout: _Layout, offset: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the content, and size of each chunk."""
    offset = layout.first if offset is None else offset
    header_bytes = layout.id_bytes + layout.size_bytes
    while len(header := file.search_at(offset, header_bytes)) == header_bytes:
        size = int.from_bytes(header[layout.id_bytes :], layout.order)
        if layout.includes_header:
            size -= header_bytes
        start = offset + header_bytes
        yield header[:4], start, max(0, size)
        offset = start + max(0, size)
        offset += -offset % layout.alignment


def _sample_chunk(
    file: SongFile, layout: _Layout, start: int, size: int, skipped: int
) -> SampleChunk:
    is_known = skipped < size < (_UNKNOWN_SIZE if layout.size_bytes == 4 else 1 << 62)
    end = start + size + -(start + size) % layout.alignment
    file_end = audio_end(file)
    if not is_known or not _ends_with_chunks(file, layout, end, file_end):
        end = file_end
    return SampleChunk(start + skipped, size - skipped if is_known else None, min(end, file_end))


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _ends_with_chunks(file: SongFile, layout: _Layout, offset: int, end: int) -> bool:
    """Check whether only chunks, ID3 tags and zeros follow from ``offset`` to ``end``."""
    while offset < end - 8:
        if file.is_zero(offset, end):
            return True
        name, start, size = next(_chunks(file, layout, offset), (b"", 0, 0))
        if name[:3] == b"ID3":
            offset = audio_start(file, offset)
        elif name in _OTHER_CHUNKS or (_is_name(name) and start + size <= end + 1):
            offset = start + size + -(start + size) % layout.alignment
        else:
            return False
    return True


# --- MPEG audio frames ---

_RATES = (44_100, 48_000, 32_000)  # Hz, of MPEG 1; halved in MPEG 2, quartered in MPEG 2.5
_KBPS = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_KBPS[2, 3] = _KBPS[2, 2]
"""Bit rates by version (2 for MPEG 2 and 2.5) and layer."""
_SYNC = re.compile(rb"\xff[\xe2-\xff]")
_SEARCHED_BYTES = 1 << 24  # of other data between frames
_CHAIN = 3  # consecutive frames that distinguish MPEG audio from other data


@dataclass(frozen=True)
class MpegFrame:
    """Header of a frame: its position and size [bytes], samples, and sample rate [Hz]."""

    position: int
    size: int
    samples: int
    rate: int

    @property
    def seconds(self) -> float:
        """Duration of the frame."""
        return self.samples / self.rate


def mpeg_frame(data: bytes, position: int) -> MpegFrame | None:
    """Parse the frame header at a position in ``data``."""
    header = data[position : position + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate_index, kbps_index = header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or layer == 4 or rate_index == 3 or kbps_index in (0, 15):
        return None
    family = 1 if version == 3 else 2
    rate = _RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 384 if layer == 1 else 576 if layer == 3 and family == 2 else 1_152
    slot = 4 if layer == 1 else 1
    bits = _KBPS[family, layer][kbps_index] * 1_000
    size = (samples // 8 * bits // (rate * slot) + (header[2] >> 1 & 1)) * slot
    return MpegFrame(position, size, samples, rate)


def mpeg_frames(data: bytes) -> list[MpegFrame]:
    """Find the first chain of consecutive frames in ``data``; empty if there is none."""
    for match in _SYNC.finditer(data):
        chain: list[MpegFrame] = []
        position = match.start()
        while (frame := mpeg_frame(data, position)) and _is_same(data, match.start(), position):
            chain.append(frame)
            position += frame.size
        if len(chain) >= _CHAIN:
            return chain
    return []


def _is_same(data: bytes, first: int, second: int) -> bool:
    """Check whether two headers have the same version, layer and sample rate."""
    return (
        data[first + 1] & 0xFE == data[second + 1] & 0xFE
        and data[first + 2] & 0x0C == data[second + 2] & 0x0C
    )


def has_mpeg_frames(file: SongFile, start: int, end: int) -> bool:
    """Check whether MPEG audio frames follow between two offsets."""
    window, overlap = 1 << 18, 1 << 13
    end = min(end, start + _SEARCHED_BYTES)
    while start < end:
        if mpeg_frames(file.search_at(start, min(window, end - start))):
            return True
        start += window - overlap
    return False


# --- Ogg pages ---

_LARGEST_PAGE = 27 + 255 + 255 * 255  # header, table of segments, segments [bytes]


@dataclass(frozen=True)
class OggPage:
    """Header of a page: offset and size [bytes], serial number of its stream, position."""

    offset: int
    size: int
    begins_stream: bool
    granule: int
    serial: int


def ogg_page(file: SongFile, offset: int) -> OggPage | None:
    """Parse the page header at an offset."""
    header = file.search_at(offset, 27 + 255)
    if len(header) < 27 or header[:5] != b"OggS\0":
        return None
    granule, serial = struct.unpack("<qI", header[6:18])
    count = header[26]
    size = 27 + count + sum(header[27 : 27 + count])
    return OggPage(offset, size, bool(header[5] & 2), granule, serial)


def is_cut_ogg(file: SongFile) -> bool:
    """Check whether the file ends within a page."""
    begin = max(0, file.size - _LARGEST_PAGE)
    last = file.search_at(begin, _LARGEST_PAGE).rfind(b"OggS\0")
    page = ogg_page(file, begin + last) if last >= 0 else None
    if page is None:
        return last >= 0
    rest = file.search_at(page.offset + page.size, 4)
    return page.offset + page.size > file.size or (bool(rest) and b"OggS".startswith(rest))


def next_ogg_link(file: SongFile, start: int, position: int) -> int | None:
    """Return the offset of the first chained stream behind ``position``, or None.

    Parameters
    ----------
    start : offset at which the current link begins
    position : offset up to which the current link has been read; the decoder may have read
        up to 64 KiB beyond the end of the link
    """
    offset = start
    while (page := ogg_page(file, offset)) and page.begins_stream:
        offset += page.size
    offset = max(offset, position - (1 << 16))
    while content := file.search_at(offset, 1 << 20):
        found = content.find(b"OggS\0\x02")
        if found >= 0:
            return offset + found
        if len(content) < 1 << 20:
            return None
        offset += len(content) - 5
    return None
