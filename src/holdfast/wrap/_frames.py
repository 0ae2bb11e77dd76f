"""Encrypted objects: their layout, their keys, and the frames that are encrypted one by one.

    b"HFE1" | key id, padded with zeros (32 bytes) | salt (32 bytes) | frame | frame | ...
    frame: AES-256-GCM of at most 64 KiB of the body, its ciphertext and its tag (16 bytes)

All frames but the last hold 64 KiB; the last holds 1 byte to 64 KiB, or nothing if the body is empty. So the body's
size follows from the stored size, and a range of the body lies in a known range of frames.

The object's key is HKDF-SHA256 (RFC 5869) of the master key, with the object's random salt, and "holdfast encryption
1", the key id and the store's context as info: every object, and every version of it, has a key of its own. Under it
frame n has the nonce n (12 bytes, big-endian), and as associated data the header, n, whether it is the last frame,
and the name of the object.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from ..blob import Buffer
from ..errors import ConfigError, IntegrityError

MAGIC = b"HFE1"
KEY_ID = 32
SALT = 32
HEADER = len(MAGIC) + KEY_ID + SALT
FRAME = 64 << 10
TAG = 16
STORED = FRAME + TAG

_PURPOSE = b"holdfast encryption 1"


def cryptography() -> Any:
    """The functions that are needed of the package cryptography; ConfigError with the cure where it is missing."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as error:
        raise ConfigError(
            "encryption needs the package cryptography: pip install 'holdfast[crypto]'", cause=error
        ) from error
    return AESGCM, HKDF, SHA256


def body_size(stored: int) -> int | None:
    """The size of the body that is stored in so many bytes; None if nothing that is encrypted here is so long.

    >>> body_size(68 + 16), body_size(68 + 16 + 5), body_size(68 + 65536 + 16), body_size(100_000_000), body_size(70)
    (0, 5, 65536, 99975516, None)
    """
    frames = frame_count(stored)
    return None if frames is None else stored - HEADER - frames * TAG


def frame_count(stored: int) -> int | None:
    """How many frames an object of so many stored bytes has; None if it cannot be one."""
    frames = -(-(stored - HEADER) // STORED)
    if frames < 1:
        return None
    last = stored - HEADER - (frames - 1) * STORED
    return frames if last > TAG or (last == TAG and frames == 1) else None


def header(key_id: str) -> bytes:
    """A new object's header, with a salt that no other object has."""
    return MAGIC + key_id.encode().ljust(KEY_ID, b"\0") + os.urandom(SALT)


def key_id_of(head: bytes) -> str | None:
    """The id of the key that an object with this header needs, or None if it is not encrypted."""
    if len(head) < HEADER or head[: len(MAGIC)] != MAGIC:
        return None
    return head[len(MAGIC) : len(MAGIC) + KEY_ID].rstrip(b"\0").decode("utf-8", "replace")


class Cipher:
    """Encrypts and decrypts the frames of one version of one object."""

    __slots__ = ("_context", "_gcm", "_key", "_name")

    def __init__(self, master: bytes, head: bytes, key: str, context: bytes) -> None:
        aesgcm, hkdf, sha256 = cryptography()
        info = _PURPOSE + head[len(MAGIC) : len(MAGIC) + KEY_ID] + context
        derived = hkdf(algorithm=sha256(), length=32, salt=head[-SALT:], info=info).derive(master)
        self._gcm = aesgcm(derived)
        self._key = key
        self._name = key.encode("utf-8", "surrogateescape")
        self._context = head

    def seal(self, number: int, data: Buffer, *, last: bool) -> bytes:
        """The stored form of one frame."""
        sealed: bytes = self._gcm.encrypt(number.to_bytes(12, "big"), bytes(data), self._bound(number, last=last))
        return sealed

    def open(self, number: int, data: Buffer, *, last: bool) -> bytes:
        """What is in a frame, if it is this very frame of this very object; else IntegrityError."""
        from cryptography.exceptions import InvalidTag

        try:
            opened: bytes = self._gcm.decrypt(number.to_bytes(12, "big"), bytes(data), self._bound(number, last=last))
        except (InvalidTag, ValueError) as error:
            raise IntegrityError(
                f"object {self._key!r} was not written so: frame {number} is changed, in another place, of another "
                "object, cut off, or encrypted with another key",
                key=self._key,
                cause=error,
                retryable=False,
            ) from error
        return opened

    def _bound(self, number: int, *, last: bool) -> bytes:
        return self._context + number.to_bytes(8, "big") + bytes([last]) + self._name

    def encrypt(self, chunks: Iterable[Buffer]) -> Iterator[bytes]:
        """The frames of a body; the last one is known when the body ends."""
        waiting = bytearray()
        number = 0
        for chunk in chunks:
            waiting += chunk
            while len(waiting) > FRAME:
                yield self.seal(number, waiting[:FRAME], last=False)
                del waiting[:FRAME]
                number += 1
        yield self.seal(number, waiting, last=True)

    def decrypt(self, chunks: Iterable[Buffer], first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """The bodies of the frames from number ``first`` on.

        ``last`` is the number of the object's last frame, where the chunks may end before it; by default they end
        with the last frame.
        """
        waiting = bytearray()
        number = first
        for chunk in chunks:
            waiting += chunk
            while len(waiting) > STORED:
                yield self.open(number, waiting[:STORED], last=number == last)
                del waiting[:STORED]
                number += 1
        yield self.open(number, waiting, last=last is None or number == last)
