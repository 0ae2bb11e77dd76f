"""The records of a zip archive (APPNOTE 6.3), packed and parsed; nothing here reads or writes a file."""

from __future__ import annotations

import contextlib
import struct
import time
import zlib
from datetime import UTC, datetime
from typing import NamedTuple

STORED, DEFLATED = 0, 8
ENCRYPTED, DESCRIPTOR, UTF8 = 0x1, 0x8, 0x800
#: In these fields all ones mean: look into the zip64 record.
MOST_16, MOST_32 = 0xFFFF, 0xFFFFFFFF
LONGEST_NAME = 0xFFFF

LOCAL = struct.Struct("<4s5H3I2H")
#: Of a local header the signature and the last two fields, the lengths of name and extra field.
LOCAL_LENGTHS = struct.Struct("<4s22x2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END_64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR_64 = struct.Struct("<4sIQI")
LOCAL_SIGNATURE, CENTRAL_SIGNATURE = b"PK\3\4", b"PK\1\2"
END_SIGNATURE, END_64_SIGNATURE, LOCATOR_64_SIGNATURE = b"PK\5\6", b"PK\6\6", b"PK\6\7"

_EXTRA = struct.Struct("<2H")
_ZIP64, _TIMESTAMP, _UNICODE_PATH = 0x0001, 0x5455, 0x7075
_UNIX = 3
_UNIX_LIKE = (_UNIX, 19)
_VERSION, _VERSION_64 = 20, 45
_FILE_MODE = 0o100644 << 16


class Malformed(ValueError):
    """Bytes that are no record of a zip archive."""


class Entry(NamedTuple):
    """What the directory says of one member; ``offset`` is that of its local header, in the file."""

    name: bytes
    flags: int
    method: int
    crc: int
    stored: int
    size: int
    offset: int
    modified: float | None
    extra: int


def key_of(name: bytes, flags: int, extra: bytes, host: int) -> str:
    """The key that a member's name stands for: UTF-8 where it says so or comes from Unix, else code page 437."""
    if name.isascii():
        return name.decode("ascii")
    if not flags & UTF8:
        unicode_path = _find(extra, _UNICODE_PATH)
        # The name that it belongs to is named by its checksum, because older programs rename without it.
        if len(unicode_path) > 5 and struct.unpack_from("<I", unicode_path, 1)[0] == zlib.crc32(name):
            name, flags = unicode_path[5:], UTF8
        elif host in _UNIX_LIKE:
            # There names are bytes, and zip says nothing of what they mean. They hardly ever are UTF-8 by accident.
            with contextlib.suppress(UnicodeDecodeError):
                return name.decode()
    # Other programs may say UTF-8 and write something else.
    return name.decode("utf-8", "surrogateescape") if flags & UTF8 else name.decode("cp437")


def parse_central(directory: bytes, base: int) -> list[tuple[str, Entry]]:
    """Every member with its key, in the directory's order; Malformed if it is no directory from end to end."""
    found = []
    at, size = 0, len(directory)
    while at < size:
        if size - at < CENTRAL.size:
            raise Malformed("the directory ends within an entry")
        fields = CENTRAL.unpack_from(directory, at)
        signature, made_by, _, flags, method, clock, date, crc, stored, full, name_size, extra_size, comment_size = (
            fields[:13]
        )
        if signature != CENTRAL_SIGNATURE:
            raise Malformed("the directory has something else among its entries")
        at += CENTRAL.size
        name = directory[at : at + name_size]
        extra = directory[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment_size
        if at > size:
            raise Malformed("the directory ends within an entry")
        offset = fields[16]
        if MOST_32 in (stored, full, offset):
            full, stored, offset = _wide(extra, full, stored, offset)
        key = key_of(name, flags, extra, made_by >> 8)
        modified = _modified(extra, date, clock)
        found.append((key, Entry(name, flags, method, crc, stored, full, base + offset, modified, extra_size)))
    return found


def _wide(extra: bytes, full: int, stored: int, offset: int) -> tuple[int, int, int]:
    wide = _find(extra, _ZIP64)
    values = []
    for value in (full, stored, offset):
        if value == MOST_32:
            if len(wide) < 8:
                raise Malformed("a size is missing from the zip64 field")
            value, wide = struct.unpack_from("<Q", wide)[0], wide[8:]  # noqa: PLW2901
        values.append(value)
    return values[0], values[1], values[2]


def _find(extra: bytes, wanted: int) -> bytes:
    """The extra field of this kind, or nothing."""
    at = 0
    while at + _EXTRA.size <= len(extra):
        kind, size = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if kind == wanted:
            return extra[at : at + size]
        at += size
    return b""


def _modified(extra: bytes, date: int, clock: int) -> float | None:
    stamp = _find(extra, _TIMESTAMP) if extra else b""
    if len(stamp) >= 5 and stamp[0] & 1:
        return float(struct.unpack_from("<i", stamp, 1)[0])
    try:
        parts = (date >> 9) + 1980, date >> 5 & 15, date & 31, clock >> 11, clock >> 5 & 63, min(clock & 31, 29) * 2
        return datetime(*parts).timestamp()  # noqa: DTZ001 - it is local time, of whoever packed it
    except (ValueError, OverflowError, OSError):
        return None


def when(entry: Entry) -> datetime | None:
    """The time of the member, in UTC."""
    return None if entry.modified is None else datetime.fromtimestamp(entry.modified, UTC)


class Packed(NamedTuple):
    """A member to be: its local header without and its directory entry with the place where it will be."""

    entry: Entry
    local: bytes
    central_fields: tuple[int, ...]

    def central(self, offset: int, base: int) -> bytes:
        """The directory's entry for the member whose local header is at this offset in the file."""
        version, flags, method, clock, date, crc, stored, size, stamp = self.central_fields
        relative = offset - base
        wide = b"".join(struct.pack("<Q", value) for value in (size, stored, relative) if value >= MOST_32)
        extra = _timestamp(stamp)
        if wide:
            extra += _EXTRA.pack(_ZIP64, len(wide)) + wide
        name = self.entry.name
        made_by = _UNIX << 8 | _VERSION_64
        return (
            CENTRAL.pack(
                CENTRAL_SIGNATURE, made_by, _VERSION_64 if wide else version, flags, method, clock, date, crc,
                min(stored, MOST_32), min(size, MOST_32), len(name), len(extra), 0, 0, 0, _FILE_MODE,
                min(relative, MOST_32),
            )
            + name + extra
        )  # fmt: skip


def pack(name: bytes, method: int, crc: int, stored: int, size: int) -> Packed:
    """A member that is written now."""
    now = time.time()
    local_time = time.localtime(now)
    date = max(0, local_time.tm_year - 1980) << 9 | local_time.tm_mon << 5 | local_time.tm_mday
    clock = local_time.tm_hour << 11 | local_time.tm_min << 5 | local_time.tm_sec // 2
    flags = 0 if name.isascii() else UTF8
    extra = _timestamp(int(now))
    version = _VERSION
    if max(stored, size) >= MOST_32:
        extra += _EXTRA.pack(_ZIP64, 16) + struct.pack("<2Q", size, stored)
        version, small_stored, small_size = _VERSION_64, MOST_32, MOST_32
    else:
        small_stored, small_size = stored, size
    local = LOCAL.pack(
        LOCAL_SIGNATURE, version, flags, method, clock, date, crc, small_stored, small_size, len(name), len(extra)
    )
    entry = Entry(name, flags, method, crc, stored, size, 0, float(int(now)), len(extra))
    return Packed(entry, local + name + extra, (version, flags, method, clock, date, crc, stored, size, int(now)))


def _timestamp(seconds: int) -> bytes:
    return _EXTRA.pack(_TIMESTAMP, 5) + struct.pack("<Bi", 1, min(seconds, 0x7FFFFFFF))


def pack_end(count: int, size: int, offset: int, base: int, comment: bytes) -> bytes:
    """What follows a directory of so many members and bytes at this offset in the file."""
    relative = offset - base
    end = END.pack(
        END_SIGNATURE, 0, 0, min(count, MOST_16), min(count, MOST_16), min(size, MOST_32), min(relative, MOST_32),
        len(comment),
    ) + comment  # fmt: skip
    if count < MOST_16 and size < MOST_32 and relative < MOST_32:
        return end
    wide = END_64.pack(END_64_SIGNATURE, END_64.size - 12, _VERSION_64, _VERSION_64, 0, 0, count, count, size, relative)
    return wide + LOCATOR_64.pack(LOCATOR_64_SIGNATURE, 0, offset + size - base, 1) + end
