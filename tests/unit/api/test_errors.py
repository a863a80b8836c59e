from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from opsgenie_provider.api import errors
from opsgenie_provider.api.errors import (
    ApiConnectionError,
    ApiError,
    ApiStatusError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PlanError,
    RateLimitError,
    ServerError,
    error_class,
)

REFUSED: dict[str, Any] = {
    "status": 422,
    "message": "Request body is not processable.",
    "service": "OpsGenie",
    "request": "GET /v1/incidents",
    "request_id": "0d1e-42",
    "hint": "Look at the fields.",
    "fields": {"query": "cannot be parsed", "limit": "too large"},
    "retry_after": 3.0,
}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, ApiStatusError),
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, PlanError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, ApiStatusError),
        (408, ServerError),
        (410, ApiStatusError),
        (422, InvalidRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (501, ServerError),
        (503, ServerError),
        (599, ServerError),
    ],
)
def test_each_status_has_its_class(status: int, expected: type[ApiStatusError]) -> None:
    assert error_class(status) is expected


def test_whoever_catches_api_error_catches_all() -> None:
    raised = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)
    ]
    assert len(raised) >= 13
    assert all(issubclass(each, ApiError) for each in raised)


def test_message_says_what_was_asked_what_was_answered_and_what_helps() -> None:
    assert str(InvalidRequestError(**REFUSED)) == (
        "OpsGenie answered 422 to GET /v1/incidents: Request body is not processable. "
        "Fields: query: cannot be parsed; limit: too large. Look at the fields. (request id 0d1e-42)"
    )


def test_message_without_extras_has_no_empty_parts() -> None:
    error = ApiStatusError(status=409, message="Conflict", service="OpsGenie", request="GET /v2/teams")
    assert str(error) == "OpsGenie answered 409 to GET /v2/teams: Conflict."
    assert (error.request_id, error.hint, error.fields, error.retry_after) == (None, None, {}, None)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("kind", [RateLimitError, ServerError, InvalidRequestError])
def test_status_errors_survive_copies_and_processes(again: Any, kind: type[ApiStatusError]) -> None:
    error = kind(**REFUSED)
    error.add_note("seen at noon")
    twin = again(error)
    assert type(twin) is kind
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)
    assert twin.fields == REFUSED["fields"]


def test_a_copy_has_the_new_hint_in_every_text() -> None:
    twin = RateLimitError(**REFUSED).copy_as(PermissionDeniedError, hint="Ask Ann.")
    assert type(twin) is PermissionDeniedError
    for said in (str(twin), repr(twin), str(twin.args), str(pickle.loads(pickle.dumps(twin)))):
        assert "Ask Ann." in said
        assert "Look at the fields." not in said
    assert vars(twin) == {**REFUSED, "hint": "Ask Ann.", "kind": None}


def test_other_errors_survive_processes() -> None:
    error = pickle.loads(pickle.dumps(ApiConnectionError("no answer")))
    assert (type(error), str(error)) == (ApiConnectionError, "no answer")
