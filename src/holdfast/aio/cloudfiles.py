"""``AsyncCloudFiles``: bulk work, one await for a whole batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..files.cloudfiles import CloudFiles
from ..files.requests import ReadRequest, WriteRequest
from ..types import Body
from .calls import Calls
from .facade import AnyStore, sync

if TYPE_CHECKING:
    from ..files.transfers import TransferRequest
    from ..sync.summary import Summary


class AsyncCloudFiles:
    """A CloudFiles to await: its methods, arguments and answers, made in one of Holdfast's threads.

    Iterables of paths and files are consumed in that thread.

    >>> import asyncio
    >>> async def main():
    ...     async with AsyncCloudFiles("mem://aio-example") as files:
    ...         await files.puts([("a", b"1"), ("b", b"22")])
    ...         return await files.get(["a", "b"], return_dict=True), [path async for path in files.list()]
    >>> asyncio.run(main())
    ({'a': b'1', 'b': b'22'}, ['a', 'b'])
    """

    def __init__(
        self,
        cloudpath: str | AnyStore,
        progress: bool = False,
        secrets: Any = None,
        num_threads: int | None = None,
        *,
        use_https: bool = False,
        endpoint: str | None = None,
        parallel: int | bool = 1,
        request_payer: str | bool | None = None,
        locking: bool | None = None,
        lock_dir: str | None = None,
        composite_upload_threshold: int | None = None,
        no_sign_request: bool = False,
    ) -> None:
        self.files = CloudFiles(
            cloudpath if isinstance(cloudpath, str) else sync(cloudpath),
            progress,
            secrets=secrets,
            num_threads=num_threads,
            use_https=use_https,
            endpoint=endpoint,
            parallel=parallel,
            request_payer=request_payer,
            locking=locking,
            lock_dir=lock_dir,
            composite_upload_threshold=composite_upload_threshold,
            no_sign_request=no_sign_request,
        )
        self._calls = Calls(self.files.store)

    def __repr__(self) -> str:
        return f"AsyncCloudFiles({self.files.cloudpath!r})"

    async def get(
        self,
        paths: ReadRequest | Iterable[ReadRequest],
        total: int | None = None,
        raw: bool = False,
        progress: bool | None = None,
        parallel: int | bool | None = None,
        return_dict: bool = False,
        raise_errors: bool = True,
        part_size: int | None = None,
        return_recording: bool = False,
        into: Any = None,
    ) -> Any:
        """What ``CloudFiles.get`` gives: the content of one path, or a row for each of many."""
        rest = (total, raw, progress, parallel, return_dict, raise_errors, part_size, return_recording, into)
        return await self._calls.call(self.files.get, paths, *rest)

    async def get_json(self, paths: ReadRequest | Iterable[ReadRequest], total: int | None = None) -> Any:
        """The parsed JSON document of one path, or of each of many."""
        return await self._calls.call(self.files.get_json, paths, total)

    async def exists(self, paths: str | Iterable[str], total: int | None = None, progress: bool | None = None) -> Any:
        """Whether there is such an object; of many paths a dict."""
        return await self._calls.call(self.files.exists, paths, total, progress)

    async def size(
        self,
        paths: str | Iterable[str],
        total: int | None = None,
        progress: bool | None = None,
        return_sum: bool = False,
    ) -> Any:
        """The stored size in bytes, None for what is missing; of many paths a dict, or the sum."""
        return await self._calls.call(self.files.size, paths, total, progress, return_sum)

    async def head(self, paths: str | Iterable[str], total: int | None = None, progress: bool | None = None) -> Any:
        """The object's header fields as a dict, None for what is missing; of many paths a dict of those."""
        return await self._calls.call(self.files.head, paths, total, progress)

    async def put(
        self,
        path: str,
        content: Body,
        content_type: str | None = None,
        compress: str | bool | None = None,
        compression_level: int | None = None,
        cache_control: str | None = None,
        raw: bool = False,
        storage_class: str | None = None,
    ) -> int:
        """1, when the object is stored, whole."""
        work = self.files.put
        rest = (content_type, compress, compression_level, cache_control, raw, storage_class)
        return await self._calls.call(work, path, content, *rest)

    async def puts(
        self,
        files: WriteRequest | Iterable[WriteRequest],
        content_type: str | None = None,
        compress: str | bool | None = None,
        compression_level: int | None = None,
        cache_control: str | None = None,
        total: int | None = None,
        raw: bool = False,
        progress: bool | None = None,
        parallel: int | bool | None = None,
        storage_class: str | None = None,
        return_recording: bool = False,
    ) -> Any:
        """How many objects were stored, each whole."""
        how = (content_type, compress, compression_level, cache_control, total, raw, progress, parallel)
        return await self._calls.call(self.files.puts, files, *how, storage_class, return_recording)

    async def put_json(
        self,
        path: str,
        content: Any,
        compress: str | bool | None = None,
        compression_level: int | None = None,
        cache_control: str | None = None,
        storage_class: str | None = None,
        content_type: str = "application/json",
    ) -> int:
        """1, when the value is stored as a JSON document."""
        rest = (compress, compression_level, cache_control, storage_class, content_type)
        return await self._calls.call(self.files.put_json, path, content, *rest)

    async def put_jsons(
        self,
        files: WriteRequest | Iterable[WriteRequest],
        compress: str | bool | None = None,
        compression_level: int | None = None,
        cache_control: str | None = None,
        total: int | None = None,
        progress: bool | None = None,
        parallel: int | bool | None = None,
        storage_class: str | None = None,
        return_recording: bool = False,
        content_type: str = "application/json",
    ) -> Any:
        """How many values were stored as JSON documents."""
        how = (compress, compression_level, cache_control, total, progress, parallel, storage_class)
        return await self._calls.call(self.files.put_jsons, files, *how, return_recording, content_type)

    async def delete(
        self,
        paths: str | Iterable[str],
        total: int | None = None,
        progress: bool | None = None,
        parallel: int | bool | None = None,
    ) -> int:
        """How many paths have no object any more."""
        return await self._calls.call(self.files.delete, paths, total, progress, parallel)

    async def touch(self, paths: str | Iterable[str], progress: bool | None = None, total: int | None = None) -> None:
        """Create empty objects where there are none."""
        await self._calls.call(self.files.touch, paths, progress, total)

    async def transfer_to(
        self,
        cf_dest: AsyncCloudFiles | CloudFiles | str,
        paths: TransferRequest | Iterable[TransferRequest] | None = None,
        reencode: str | bool | None = None,
        content_type: str | None = None,
        allow_missing: bool = False,
        progress: bool | None = None,
        resumable: bool = False,
        part_size: int | None = None,
    ) -> Summary:
        """What was done to have the objects of ``paths`` (default: all of them) at the destination as well."""
        rest = (paths, reencode, content_type, allow_missing, progress, resumable, part_size)
        return await self._calls.call(self.files.transfer_to, _plain(cf_dest), *rest)

    async def transfer_from(
        self,
        cf_src: AsyncCloudFiles | CloudFiles | str,
        paths: TransferRequest | Iterable[TransferRequest] | None = None,
        reencode: str | bool | None = None,
        content_type: str | None = None,
        allow_missing: bool = False,
        progress: bool | None = None,
        resumable: bool = False,
        part_size: int | None = None,
    ) -> Summary:
        """What was done to have the objects of ``cf_src`` here."""
        rest = (paths, reencode, content_type, allow_missing, progress, resumable, part_size)
        return await self._calls.call(self.files.transfer_from, _plain(cf_src), *rest)

    async def move(self, src: str, dest: str) -> Summary:
        """What was done to move one object, to a path here or to a location elsewhere."""
        return await self._calls.call(self.files.move, src, dest)

    async def moves(
        self,
        cf_dest: AsyncCloudFiles | CloudFiles | str,
        paths: Iterable[str | tuple[str, str]],
        progress: bool | None = None,
        part_size: int | None = None,
    ) -> Summary:
        """What was done to move objects to the destination, from (path here, path there) for each."""
        return await self._calls.call(self.files.moves, _plain(cf_dest), paths, progress, part_size)

    def list(
        self,
        prefix: str = "",
        flat: bool = False,
        size: bool = False,
        return_resume_token: bool = False,
        resume_token: str | None = None,
    ) -> AsyncIterator[Any]:
        """An asynchronous iterator over the paths that start with the string ``prefix``."""
        return self._calls.rows(partial(self.files.list, prefix, flat, size, return_resume_token, resume_token))

    async def isdir(self, prefix: str = "") -> bool:
        """Whether anything lies under ``prefix`` + "/" (or under the location itself, for "")."""
        return await self._calls.call(self.files.isdir, prefix)

    async def subtree_size(self, prefix: str | Iterable[str] = "") -> dict[str, int]:
        """``{"N": objects, "num_bytes": stored bytes}`` of all whose paths start with the string, or one of several."""
        return await self._calls.call(self.files.subtree_size, prefix)

    async def clear_locks(self) -> None:
        """Remove the lock files that nobody holds."""
        await self._calls.call(self.files.clear_locks)

    async def aclose(self) -> None:
        """Wait for every call, abandoned ones too, and release what the store holds."""
        await self._calls.drain()
        await self._calls.call(self.files.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _plain(where: AsyncCloudFiles | CloudFiles | str) -> CloudFiles | str:
    return where.files if isinstance(where, AsyncCloudFiles) else where
