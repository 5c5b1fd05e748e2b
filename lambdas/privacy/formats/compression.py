"""How row files are stored: their compression and UTF-16, undone and made again in a stream.

What a key or a header says about compression does not count, but the file's first bytes: programs get both
wrong. A file of several gzip members or zstd frames is read to its end and written back as one, with the
codec that it had.
"""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, Literal, Protocol, Self, cast, runtime_checkable

import zstandard
from zlib_ng import zlib_ng

from privacy.formats.blocks import RowReader

Codec = Literal["plain", "gzip", "zstd"]

GZIP_LEVEL: Final = 6
"""zlib's and the gzip command's default. By zlib-ng files are as large as by zlib, but for a few per cent
either way; higher levels take a multiple of the time, and at lower ones (or by ISA-L) files would grow."""

ZSTD_LEVEL: Final = 3
"""zstd's default."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"  # after a first byte from 0x50 to 0x5f (RFC 8878, 3.1.2)
_GZIP_WRAPPER: Final = 16 + zlib_ng.MAX_WBITS

_UTF16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_ALL: Final = "surrogatepass"  # half a pair, which is no character, comes back as it was

_GZIP_DAMAGE: Final = cast("type[Exception]", zlib_ng.error)  # its types take it for an exception itself

_PIECE_BYTES: Final = 1024 * 1024  # what is unpacked at a time, about
_ZSTD_WINDOW: Final = 1 << 27  # what the zstd command accepts unless told otherwise
_ZSTD_READ: Final = 128 * 1024  # bytes of a skippable frame handed over at a time

# RFC 8878, 3.1.1.1: how long the fields of a frame's header are, by the bits of its descriptor
_ZSTD_DICTIONARY_ID: Final = (0, 1, 2, 4)
_ZSTD_CONTENT_SIZE: Final = (0, 2, 4, 8)
_ZSTD_RLE: Final = 1  # kind of a block (3.1.1.2) of which one byte is kept, however long it is


NOT_UTF16: Final = "text is not in UTF-16 with a byte order mark"
"""Why a file is refused of a dataset that is declared so."""


class DamagedContentError(Exception):
    """A file ends too early, or does not unpack. Its text is the reason, without any content."""


class Packer(Protocol):
    """Makes the stored form of what it is given."""

    def compress(self, content: bytes | memoryview, /) -> bytes | memoryview:
        """Take more content; return what is ready of the stored form."""

    def flush(self) -> bytes:
        """Return the rest of the stored form."""


class Plain:
    """Leaves content as it is."""

    def compress(self, content: bytes | memoryview, /) -> bytes | memoryview:
        """Return the content."""
        return content

    def flush(self) -> bytes:
        """Return nothing."""
        return b""


def unpacked(chunks: Iterable[bytes]) -> tuple[Codec, Iterator[bytes]]:
    """Return the codec of a stored file and its content in pieces, plain.

    The pieces raise DamagedContentError where the file ends too early or does not unpack; what was yielded
    before is content.
    """
    rest = iter(chunks)
    first = b""
    while len(first) < len(_ZSTD_MAGIC) and (chunk := next(rest, None)) is not None:
        first += chunk
    whole = chain([first], rest)
    codec = _codec_of(first)
    if codec == "gzip":
        return codec, _gunzipped(whole)
    if codec == "zstd":
        return codec, _unzstd(whole)
    return codec, whole


def packer(codec: Codec) -> Packer:
    """Return what makes the stored form of a codec again."""
    if codec == "gzip":
        return zlib_ng.compressobj(GZIP_LEVEL, zlib_ng.DEFLATED, _GZIP_WRAPPER)
    if codec == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()
    return Plain()


def _codec_of(first: bytes) -> Codec:
    if first.startswith(_GZIP_MAGIC):
        return "gzip"
    return "zstd" if first.startswith(_ZSTD_MAGIC) or _is_skippable(first) else "plain"


def _is_skippable(first: bytes) -> bool:
    return first[1:4] == _ZSTD_SKIPPABLE and 0x50 <= first[0] <= 0x5F


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    member = _member()
    begun = False
    members = 0
    for chunk in chunks:
        waiting = chunk
        while waiting:
            if not begun and members:
                # Zeros may follow the last member: tapes and block devices pad.
                waiting = waiting.lstrip(b"\0")
                if not waiting:
                    break
            begun = True
            yield from _inflated(member, waiting)
            waiting = member.unconsumed_tail
            if member.eof:
                waiting = member.unused_data
                member, begun, members = _member(), False, members + 1
    while begun:
        # What the limit held back has to be asked for until the member ends or has nothing more to say.
        piece = b"".join(_inflated(member, b""))
        if piece:
            yield piece
        elif not member.eof:
            raise DamagedContentError("gzip content ends too early")
        begun = not member.eof


class _Member(Protocol):
    """Unpacks one member of a gzip file, as zlib's decompression objects do."""

    eof: bool
    unconsumed_tail: bytes
    unused_data: bytes

    def decompress(self, content: bytes, max_length: int = 0, /) -> bytes: ...

    def copy(self) -> Self: ...


def _member() -> _Member:
    return cast("_Member", zlib_ng.decompressobj(_GZIP_WRAPPER))


def _inflated(member: "_Member", content: bytes) -> Iterator[bytes]:
    """Yield what the content unpacks to. Raises DamagedContentError behind what stands before the damage."""
    before = member.copy()
    try:
        piece = member.decompress(content, _PIECE_BYTES)
    except _GZIP_DAMAGE:
        yield _up_to_damage(before, content)
        raise DamagedContentError("gzip content is damaged") from None
    if piece:
        yield piece


def _up_to_damage(member: "_Member", content: bytes) -> bytes:
    """Return what stands before the damage: a call that fails takes with it what it had unpacked."""
    found = bytearray()
    try:
        for place in range(len(content)):
            found += member.decompress(content[place : place + 1])
    except _GZIP_DAMAGE:
        return bytes(found)
    return bytes(found)


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    frame = reader.decompressobj()
    begun = False
    held: list[bytes] = []
    size = 0
    damage: str | None = None
    for part in filter(None, _zstd_parts(chunks)):
        begun = True
        try:
            piece = frame.decompress(part)
        except zstandard.ZstdError:
            damage = "zstd content is damaged"
            break
        held.append(piece)
        size += len(piece)
        if frame.eof:
            frame, begun = reader.decompressobj(), False
        if size >= _PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
    if begun:
        raise DamagedContentError(damage or "zstd content ends too early")


def _zstd_parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut zstd content so that no part goes on behind the end of a block.

    The error of a call takes with it what the call had unpacked: so no more than the damaged block is lost.
    And a block stands for 128 KiB at most, so that memory stays flat.
    """
    content = _Bytes(chunks)
    while magic := content.take(len(_ZSTD_MAGIC)):
        yield magic
        if _is_skippable(magic):
            size = content.take(4)
            yield size
            left = int.from_bytes(size, "little")
            while left and (part := content.take(min(left, _ZSTD_READ))):
                yield part
                left -= len(part)
        elif magic == _ZSTD_MAGIC:
            yield from _zstd_blocks(content)
        else:
            yield from content.rest()


def _zstd_blocks(content: "_Bytes") -> Iterator[bytes]:
    """Yield the rest of a frame: its header, each block, its checksum."""
    descriptor = content.take(1)
    yield descriptor
    bits = descriptor[0] if descriptor else 0
    is_single_segment = bits >> 5 & 1
    sizes = _ZSTD_DICTIONARY_ID[bits & 3] + (_ZSTD_CONTENT_SIZE[bits >> 6] or is_single_segment)
    yield content.take(1 - is_single_segment + sizes)
    is_last = not descriptor
    while not is_last:
        header = content.take(3)
        number = int.from_bytes(header, "little")
        is_last, kind, size = bool(number & 1) or len(header) < 3, number >> 1 & 3, number >> 3
        yield header + content.take(1 if kind == _ZSTD_RLE else size)
    yield content.take(4 if bits & 4 else 0)


class _Bytes:
    """Chunks of content, of which as much can be taken as is wanted."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._place = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes: fewer where the content ends."""
        end = self._place + size
        while len(self._held) < end and (chunk := next(self._chunks, None)) is not None:
            self._held = self._held[self._place :] + chunk
            self._place, end = 0, size
        found = self._held[self._place : end]
        self._place += len(found)
        return found

    def rest(self) -> Iterator[bytes]:
        """Yield all that is left."""
        yield self._held[self._place :]
        yield from self._chunks
        self._held, self._place = b"", 0


class Utf16:
    """Turns one file's text in UTF-16 into UTF-8 and back, without the byte order mark that it begins with.

    Rows are found in bytes, and in UTF-16 a line feed's bytes are parts of other characters too.
    """

    def __init__(self) -> None:
        self._mark = b""

    def plain(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the content in UTF-8. Raises DamagedContentError where it is not in UTF-16 with a mark."""
        pieces = iter(content)
        first = b""
        while len(first) < len(codecs.BOM_UTF16) and (piece := next(pieces, None)) is not None:
            first += piece
        if not first:
            return
        self._mark = first[: len(codecs.BOM_UTF16)]
        if self._mark not in _UTF16:
            raise DamagedContentError(NOT_UTF16)
        decoder = codecs.getincrementaldecoder(_UTF16[self._mark])(_ALL)
        for piece in chain([first[len(self._mark) :]], pieces):
            if text := decoder.decode(piece):
                yield text.encode("utf-8", _ALL)
        try:
            rest = decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise DamagedContentError("text in UTF-16 ends too early") from None
        if rest:
            yield rest.encode("utf-8", _ALL)

    def stored(self, content: bytes, *, begins: bool) -> bytes:
        """Return whole characters in UTF-8 as the file has them, behind its mark where it `begins`."""
        if not self._mark:
            return b""  # nothing was read, so nothing comes out
        text = content.decode("utf-8", _ALL).encode(_UTF16[self._mark], _ALL)
        return self._mark + text if begins else text


class Utf16Packer:
    """Makes the stored form of a text that was read by way of `Utf16`; `packer` compresses what that is."""

    def __init__(self, text: Utf16, packer: Packer) -> None:
        self._text = text
        self._packer = packer
        self._begins = True

    def compress(self, content: bytes | memoryview, /) -> bytes | memoryview:
        """Take more content, of whole characters; return what is ready of the stored form."""
        stored = self._text.stored(bytes(content), begins=self._begins)
        self._begins = False
        return self._packer.compress(stored)

    def flush(self) -> bytes:
        """Return the rest of the stored form."""
        ready = self.compress(b"") if self._begins else b""
        return bytes(ready) + self._packer.flush()


@runtime_checkable
class TextReader(RowReader, Protocol):
    """Reads rows of text that is stored in UTF-16, or as it is read (`text` is None)."""

    text: Utf16 | None


def opened(reader: RowReader, chunks: Iterable[bytes]) -> tuple[Codec, Iterator[bytes]]:
    """Return the codec of a stored file, and its content in pieces as the reader takes it.

    The pieces raise DamagedContentError as those of `unpacked` do, and where the text is not in UTF-16.
    """
    codec, content = unpacked(chunks)
    text = reader.text if isinstance(reader, TextReader) else None
    return codec, content if text is None else text.plain(content)


def packer_for(reader: RowReader, codec: Codec) -> Packer:
    """Return what makes the stored form again of the file that the reader reads."""
    text = reader.text if isinstance(reader, TextReader) else None
    return packer(codec) if text is None else Utf16Packer(text, packer(codec))
