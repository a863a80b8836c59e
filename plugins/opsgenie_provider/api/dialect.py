"""What differs between the services: how their answers report errors and rate limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import requests


@dataclass(frozen=True)
class ErrorDetail:
    """The content of an error answer.

    :param fields: field -> message.
    :param kind: the service's own name for the error.
    """

    message: str
    request_id: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = None


@dataclass(frozen=True)
class Throttle:
    """The content of a 429.

    :param wait: how many seconds to wait.
    :param period: seconds of the window that was exceeded, where known.
    :param quota: whether a quota is used up: raised at once as ``QuotaError`` instead of waiting.
    """

    wait: float
    period: float | None = None
    quota: bool = False


@dataclass(frozen=True)
class Quota:
    """The state of a rate limit as an answer reports it.

    :param limit: requests per window.
    :param remaining: requests left in the current window.
    :param resets_in: seconds until the next window starts.
    """

    limit: int
    remaining: int
    resets_in: float


@dataclass(frozen=True)
class Dialect:
    """How one service reports errors and rate limits.

    :param service: its name in messages.
    :param hints: status -> what a person can do about it.
    :param detail: reads an error answer.
    :param throttle: reads the service's own headers of a throttled answer.
    :param is_throttled: whether an answer is throttled, that is, refused for a rate limit.
    :param quota: reads the state of the rate limit, where every answer reports it.
    :param pause: reads from an answer how many seconds the next request of its domain is to wait.
    """

    service: str
    hints: Mapping[int, str]
    detail: Callable[[requests.Response], ErrorDetail]
    throttle: Callable[[requests.Response], Throttle]
    is_throttled: Callable[[requests.Response], bool] = lambda response: response.status_code == 429
    quota: Callable[[requests.Response], Quota | None] = lambda response: None
    pause: Callable[[requests.Response], float] = lambda response: 0.0
