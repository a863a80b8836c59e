"""The clocks of the package, set by tests: every module in which a task asks what time it is."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from tests.support import ROOT

PACKAGE = "opsgenie_provider"
Patch = Callable[[Any, str, Any], None]


def asking(*calls: str) -> set[str]:
    """The package's modules that make one of these calls; the page's and the clients' left out.

    A client compares with the instant at which a service's quota starts again, by the service's own header.
    """
    source = ROOT / "plugins" / PACKAGE
    paths = [path.relative_to(source) for path in source.rglob("*.py")]
    return {
        ".".join(path.with_suffix("").parts)
        for path in paths
        if path.parts[0] not in ("api", "web") and any(call in (source / path).read_text() for call in calls)
    }


CLOCKS = tuple(sorted(asking("datetime.now(")))


def set_clocks(
    patch: Patch, now: Callable[[], datetime], skews: Mapping[str, timedelta] | None = None
) -> None:
    """Let the package see ``now``, and the modules of ``skews`` so much more."""
    for name in CLOCKS:
        module = importlib.import_module(f"{PACKAGE}.{name}")
        patch(module, "datetime", _clock(now, (skews or {}).get(name, timedelta())))


def _clock(now: Callable[[], datetime], skew: timedelta) -> type[datetime]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return (now() + skew).astimezone(tz or UTC)

    return Clock
