"""Reads the optional parts of a payload independently.

A part that cannot be read is left out and recorded with the reason; the rest of the object is used. An
object is rejected as a whole only where its identity or its time cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from msgspec import Raw

from opsgenie_provider.rows.fields import Payload, UnreadablePayloadError, as_text, items, json_text, nested

T = TypeVar("T")
# A payload, or a part of one as {"id": ..., <field>: ...}, with why it could not be read.
RejectedPayload = tuple[bytes, str]
Rejected = list[RejectedPayload]


def readable_rows(payloads: Iterable[Raw], convert: Callable[[Raw], T], rejected: Rejected) -> Iterator[T]:
    """What ``convert`` makes of each payload; one that cannot be read is rejected with the reason."""
    for raw in payloads:
        try:
            row = convert(raw)
        except UnreadablePayloadError as error:
            rejected.append((bytes(raw), str(error)))
        else:
            yield row


def reason_of_part(error: UnreadablePayloadError) -> str:
    """Why a part is rejected while the rest of its object is used."""
    return f"{error}; only this part is left out"


class OptionalFields:
    """The optional fields of an object.

    :param rejected: receives the parts that cannot be read. None: the first one raises its error.
    :param within: the id of the object that this one is nested in.
    """

    def __init__(self, payload: Payload, rejected: Rejected | None, *, within: Any = None) -> None:
        self._payload = payload
        self._rejected = rejected
        self._id = payload.get("id") if within is None else within

    def read(self, read: Callable[[Payload, str], T | None], name: str) -> T | None:
        """A field by a function of ``rows.fields``; None where it cannot be read."""
        try:
            return read(self._payload, name)
        except UnreadablePayloadError as error:
            self._reject(name, self._payload.get(name), error)
            return None

    def nested(self, name: str) -> OptionalFields:
        """The optional fields of a nested object; they are all None where it is not an object."""
        return OptionalFields(self.read(nested, name) or {}, self._rejected, within=self._id)

    def each(self, name: str, read: Callable[[Any], T | None]) -> list[T]:
        """The results of ``read`` for the items of a list, without those that are None."""
        found: list[T] = []
        for item in self.read(items, name) or ():
            try:
                result = read(item)
            except UnreadablePayloadError as error:
                self._reject(name, [item], error)
                continue
            if result is not None:
                found.append(result)
        return found

    def texts(self, name: str) -> list[str] | None:
        """The texts of a list, without empty ones; None where it is not a list."""
        found = self.each(name, partial(as_text, name=name))
        return found if isinstance(self._payload.get(name), list) else None

    def _reject(self, name: str, value: Any, error: UnreadablePayloadError) -> None:
        if self._rejected is None:
            raise error
        part = json_text({"id": self._id, name: value}) or ""
        self._rejected.append((part.encode(), reason_of_part(error)))
