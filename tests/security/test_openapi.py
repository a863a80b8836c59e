"""Schemathesis over the page and the webhook: what their own description allows, and what it forbids."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import requests
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import assume, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error

from opsgenie_provider.rows import webhook
from tests.security.deliveries import signed
from tests.security.hostile import EXAMPLES
from tests.security.hostile_page import check
from tests.security.samples import WEBHOOKS

# The webhook reads its bodies itself, so that FastAPI cannot describe them.
MODELS = {
    "github": webhook._GithubStatusEvent,
    "gitlab": webhook._GitlabEvent,
    "generic": webhook._GenericEvent,
}
# Neither the client sends nor uvicorn reads one that is much longer.
LONGEST_URL = 60_000


def described(page: TestClient) -> dict[str, Any]:
    """The app's own description, which it shows to nobody, with the bodies of deliveries."""
    description: dict[str, Any] = copy.deepcopy(page.app.openapi())  # type: ignore[attr-defined]
    for sender, model in MODELS.items():
        body = model.model_json_schema(ref_template="#/components/schemas/{model}")
        description["components"]["schemas"] |= body.pop("$defs", {})
        operation = description["paths"][f"/webhook/{sender}"]["post"]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return description


@pytest.mark.parametrize("page", ["filled"], indirect=True, scope="module")
@pytest.mark.parametrize("mode", GenerationMode)
def test_no_operation_breaks(page: TestClient, mode: GenerationMode) -> None:
    statuses: dict[str, set[int]] = {}
    for found in schemathesis.openapi.from_dict(described(page)).get_all_operations():
        operation = found.ok()
        # Nothing that is not described can be sent in the wrong way.
        if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body):
            continue
        statuses[operation.label] = statuses_of(page, operation.as_strategy(mode))
    assert len(statuses) == (18 if mode is GenerationMode.POSITIVE else 12)
    if mode is GenerationMode.POSITIVE:
        # Not all are refused: they get to where it could break.
        assert all(seen & {200, 403, 404} for seen in statuses.values()), statuses


def statuses_of(page: TestClient, cases: SearchStrategy[Case]) -> set[int]:
    """How some cases of an operation were answered."""
    statuses = set()

    @settings(EXAMPLES, max_examples=15)
    @given(case=cases)
    def no_case_breaks(case: Case) -> None:
        statuses.add(sent(page, case))

    no_case_breaks()
    return statuses


def sent(page: TestClient, case: Case) -> int:
    """The status of the answer to a case; deliveries are signed."""
    request = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    assume(len(str(request.url)) <= LONGEST_URL)
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    sender = case.path.rpartition("/")[2]
    headers = {**request.headers, **(signed(sender, body, str(hash(body))) if sender in WEBHOOKS else {})}
    answer = page.request(
        str(request.method), str(request.url), content=body, headers=headers, follow_redirects=False
    )
    check(answer)
    case.validate_response(answer, checks=[not_a_server_error])
    return answer.status_code
