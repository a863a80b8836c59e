"""Validates the bodies of writes by the limits of docs.opsgenie.com/docs/incident-api.

The limits of tags, details and responders are documented for alerts; incidents are assumed to have the same.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sandbox.opsgenie.errors import ApiError, unprocessable
from sandbox.opsgenie.store import Store
from sandbox.opsgenie.web import Call

MESSAGE, DESCRIPTION, NOTE, TAG, DETAILS = 130, 15_000, 25_000, 50, 8_000
MAX_TAGS = 20
MAX_RESPONDERS = 50
MAX_KEYS = 10
PRIORITIES = ("P1", "P2", "P3", "P4", "P5")


async def read_body(call: Call) -> dict[str, Any]:
    raw = await call.request.body()
    try:
        parsed = msgspec.json.decode(raw or b"{}")
    except msgspec.DecodeError as problem:
        raise ApiError(400, "Request body is not processable. Please check the errors.") from problem
    if not isinstance(parsed, dict):
        raise ApiError(400, "Request body is not processable. Please check the errors.")
    return parsed


class Checks:
    """Reads the fields of a body and collects their errors: field -> message."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.errors: dict[str, str] = {}

    def text(self, name: str, most: int, required: bool = False) -> str:
        value = self.body.get(name)
        if value is None or value == "":
            if required:
                self.errors[name] = f"{name.capitalize()} can not be empty."
            return ""
        if not isinstance(value, str):
            self.errors[name] = f"{name.capitalize()} should be a string."
            return ""
        if len(value) > most:
            self.errors[name] = f"{name.capitalize()} can not be longer than {most} characters."
        return value

    def strings(self, name: str, most: int, length: int) -> list[str]:
        value = self.body.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.errors[name] = f"{name.capitalize()} should be a list of strings."
            return []
        if len(value) > most:
            self.errors[name] = f"{name.capitalize()} can not have more than {most} items."
        if any(len(item) > length for item in value):
            self.errors[name] = f"Each of {name} can not be longer than {length} characters."
        return value

    def details(self) -> dict[str, str]:
        value = self.body.get("details") or {}
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            self.errors["details"] = "Details should be a map of strings."
            return {}
        if sum(len(key) + len(item) for key, item in value.items()) > DETAILS:
            self.errors["details"] = f"Details can not be longer than {DETAILS} characters in total."
        return value

    def responders(self, store: Store) -> list[dict[str, str]]:
        value = self.body.get("responders") or []
        if not isinstance(value, list) or len(value) > MAX_RESPONDERS:
            self.errors["responders"] = f"Responders can not have more than {MAX_RESPONDERS} items."
            return []
        found = []
        for who in value:
            kind = who.get("type") if isinstance(who, dict) else None
            if kind not in ("team", "user"):
                self.errors["responders#type"] = "Invalid responder type."
                continue
            known: list[tuple[str, str]] = (
                [(team.id, team.name) for team in store.teams.values()]
                if kind == "team"
                else [(user.id, user.username) for user in store.users.values()]
            )
            wanted = {who.get("id"), who.get("name"), who.get("username")} - {None}
            match = next((id_ for id_, name in known if id_ in wanted or name in wanted), None)
            if match is None:
                self.errors["responders"] = "Responder does not exist."
            else:
                found.append({"type": kind, "id": match})
        return found

    def done(self) -> None:
        if self.errors:
            raise unprocessable("Request body is not processable. Please check the errors.", self.errors)
