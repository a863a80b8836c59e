"""A proxy before a service that damages every fourth object in its lists."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsgenie_provider.api.transport import storable
from tests.security.hostile import FRAGMENTS, changed, places

SHARE = 0.25
Path = tuple[Any, ...]


def _page_stays_json(fragment: bytes) -> bool:
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        msgspec.json.decode(storable(b"[[%b]]" % fragment), type=list[Raw])
        return True
    return False


class Vandal:
    """The same object is damaged in the same way whenever it is listed.

    It keeps its id, or loses it: with another one's it would be that one.

    :param lists: the paths of lists, as regular expressions -> where in the answer the list is.
    :param spared: places that stay as they are.
    :ivar listed: by expression, the ids of what was listed.
    """

    def __init__(
        self, app: ASGIApp, lists: Mapping[str, Path], seed: int, *, spared: frozenset[Path] = frozenset()
    ) -> None:
        self._app = app
        self._lists = lists
        self._seed = seed
        self._spared = spared | {("id",)}
        self._fragments = [None, *filter(_page_stays_json, FRAGMENTS)]
        self.listed: dict[str, set[str]] = {path: set() for path in lists}
        self.damaged = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = [path for path in self._lists if re.fullmatch(path + "/?", scope["path"])]
        if not found:
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, collect)
        if start["status"] == 200:
            body = self._rewritten(json.loads(body), found[0])
        headers = [header for header in start["headers"] if header[0].lower() != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    def _rewritten(self, answer: Any, path: str) -> bytes:
        place = self._lists[path]
        items = answer
        for name in place:
            items = items[name]
        pieces = b"[%b]" % b", ".join(self._piece(item, path) for item in items)
        return changed(answer, {place: pieces}) if place else pieces

    def _piece(self, item: dict[str, Any], path: str) -> bytes:
        self.listed[path].add(str(item["id"]))
        chance = random.Random(f"{self._seed} {item['id']}")
        if chance.random() > SHARE:
            return json.dumps(item).encode()
        self.damaged += 1
        if chance.random() < 0.2:
            return changed(item, {("id",): None})
        paths = [path for path in places(item) if path and path not in self._spared]
        first, second = chance.sample(paths, 2)
        changes = {first: chance.choice(self._fragments)}
        # One within the other is gone with it.
        if first[: len(second)] != second and second[: len(first)] != first:
            changes[second] = chance.choice(self._fragments)
        return changed(item, changes)
