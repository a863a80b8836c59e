"""Downloads that take as long as the client likes, and the warehouse no longer than it needs.

The rows go to a temporary file first, and from there to the client: no connection and no thread waits for
a client that reads slowly or not at all.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import anyio
from fastapi import Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from opsgenie_provider.web.connection_pool import StopSwitch
from opsgenie_provider.web.workers import DOWNLOADS, BusyError

# Made, or on their way to a client: each may fill a file.
MOST = 8
# A client that takes nothing for so long has gone.
STALLED_SECONDS = 60.0
_IN_MEMORY = 1024 * 1024
_CHUNK = 64 * 1024
_open = 0


async def download(
    request: Request, lines: Callable[[StopSwitch], Iterator[str]], *, name: str
) -> StreamingResponse:
    """A CSV file of the lines, compressed if the client takes that.

    :param lines: reads them from the warehouse, in a thread, until the switch is stopped.
    :raises BusyError: too many downloads at once.
    """
    global _open
    if _open >= MOST:
        raise BusyError
    _open += 1
    switch = StopSwitch()
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    watching = asyncio.create_task(_watch(request, switch))
    try:
        file, size = await DOWNLOADS.run(lambda: _spooled(lines(switch), zipped=zipped))
    except BaseException:
        _open -= 1
        raise
    finally:
        watching.cancel()
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size)}
    if zipped:
        headers |= {"Content-Encoding": "gzip"}
    return _Spooled(file, headers | {"Vary": "Accept-Encoding"})


async def _watch(request: Request, switch: StopSwitch) -> None:
    """Stop reading the warehouse for a client that has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    await asyncio.to_thread(switch.stop)


def _spooled(lines: Iterator[str], *, zipped: bool) -> tuple[IO[bytes], int]:
    file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - who sends it closes it
    try:
        if zipped:
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=5) as packed:
                for line in lines:
                    packed.write(line.encode())
        else:
            file.writelines(line.encode() for line in lines)
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, size


class _Spooled(StreamingResponse):
    """Sends a file, and closes it whatever becomes of the client."""

    def __init__(self, file: IO[bytes], headers: dict[str, str]) -> None:
        self._file = file
        chunks = iter(lambda: file.read(_CHUNK), b"")
        super().__init__(iterate_in_threadpool(chunks), headers=headers, media_type="text/csv; charset=utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        global _open

        async def sending(message: Any) -> None:
            with anyio.fail_after(STALLED_SECONDS):
                await send(message)

        try:
            await super().__call__(scope, receive, sending)
        finally:
            self._file.close()
            _open -= 1
