"""Lists the imported incidents, whatever their number, as far as OpsGenie's search index knows them.

The index is eventually consistent: it shows a new incident late, and a deleted one for a while longer.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from msgspec import Raw

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import InvalidRequestError
from opsgenie_provider.api.listing import Identified
from opsgenie_provider.api.opsgenie import OpsgenieClient
from opsgenie_provider.api.opsgenie_windows import Window, WindowReader

# Before OpsGenie had incidents.
_BEGINNING = datetime(2017, 1, 1, tzinfo=UTC)


class _Collected:
    """A ``Sink`` that keeps every payload once."""

    def __init__(self) -> None:
        self.items: dict[str, Raw] = {}

    def add(self, items: list[Raw]) -> int:
        before = len(self.items)
        self.items |= {decode_into(item, Identified).id: item for item in items}
        return len(self.items) - before

    def restart(self) -> None:
        self.items.clear()


def tagged_incidents(client: OpsgenieClient, executor: ThreadPoolExecutor, tag: str) -> list[Raw]:
    """Every incident that the search index lists with ``tag``; a request per 100.

    A tag may be asked for with or without quotes; a server that cannot read one form may read the other.
    """
    refused: InvalidRequestError | None = None
    until = datetime.now(UTC) + timedelta(days=2)
    for form in (f'"{tag}"', tag):
        window = Window.between(_BEGINNING, until, among=f"tag: {form}")
        found: dict[str, Raw] = {}
        reader = WindowReader(client.incidents, executor)
        try:
            parts = reader.parts(window)
            for part, pages in reader.pages(parts):
                collected = _Collected()
                reader.read(part, pages, collected)
                found |= collected.items
        except InvalidRequestError as error:
            refused = error
            continue
        if found:
            return list(found.values())
        refused = None
    if refused is not None:
        raise refused
    return []
