"""Clients that soon give up on an answer that will not come, and wait for every other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from sandbox.gateway import Gateway


def next_hangs(app: Gateway, base: str) -> Callable[[str], bool]:
    """Whether a request to ``base`` would meet the hang that is next in the stand-in's script."""

    def hangs(url: str) -> bool:
        script = app.faults.script
        return url.startswith(base) and bool(script) and script[0] == "hang"

    return hangs


def hurry(patch: pytest.MonkeyPatch, hangs: Callable[[str], bool], seconds: float = 0.25) -> None:
    """Give up after ``seconds`` without an answer, but only on requests whose URL ``hangs``.

    On a busy machine any stand-in is slow: a client without patience for all would fail without a fault.
    """
    send = requests.Session.send

    def sending(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        if hangs(request.url or ""):
            options["timeout"] = (options["timeout"][0], seconds)
        return send(session, request, **options)

    patch.setattr(requests.Session, "send", sending)
