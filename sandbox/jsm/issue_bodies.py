"""How Jira prints an issue and its changelog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.instants import MS, to_nanos
from sandbox.jsm import catalogue as ids
from sandbox.jsm.model import RESOLUTION_ID, History, Issue, Json, jira_time
from sandbox.jsm.web import Call


def document(text: str) -> Json:
    """Plain text as an Atlassian Document: a paragraph for each block, a hard break for each line."""
    paragraphs = []
    for block in text.split("\n\n"):
        content: list[Json] = []
        for line in block.split("\n"):
            content += [{"type": "hardBreak"}] if content else []
            content += [{"type": "text", "text": line}] if line else []
        paragraphs.append({"type": "paragraph", "content": content})
    return {"type": "doc", "version": 1, "content": paragraphs}


class View:
    """Renders issues for a caller, in its time zone and the requested API version."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.store = call.store
        self.zone = call.zone
        # Version 2 has plain texts where version 3 has documents.
        self.plain = "/rest/api/2/" in call.request.url.path
        self.readers = self._readers()

    def issue(self, issue: Issue, wanted: list[str], expand: set[str], cut: int) -> Json:
        """`wanted`: ids of fields, with *all, *navigable and -field; `cut`: most entries of the changelog."""
        body: Json = {"id": issue.id}
        if set(wanted) != {"id"}:
            body["key"] = issue.key
        if set(wanted) - {"id", "key"}:
            body["self"] = f"{self.store.site}/rest/api/{2 if self.plain else 3}/issue/{issue.id}"
            everything = {"*all", "*navigable"} & set(wanted)
            body["fields"] = {
                name: read(issue)
                for name, read in self.readers.items()
                if (everything or name in wanted)
                and f"-{name}" not in wanted
                and name not in self.store.switches.absent_fields
            }
        if "names" in expand:
            body["names"] = {field.id: field.name for field in self.store.catalogue.fields.values()}
        if "schema" in expand:
            fields = self.store.catalogue.fields.values()
            body["schema"] = {field.id: field.payload()["schema"] for field in fields}
        if "changelog" in expand:
            body["changelog"] = self.changelog(issue, cut)
        return body

    def changelog(self, issue: Issue, cut: int) -> Json:
        """expand=changelog: newest first, at most `cut` entries (0: all)."""
        switches = self.store.switches
        histories = issue.histories[::-1] if switches.changelog_newest_first else issue.histories
        shown = histories[:cut] if cut else histories
        return {
            "startAt": 0,
            "maxResults": len(shown),
            "total": len(histories) if switches.changelog_total else len(shown),
            "histories": [self.history(history) for history in shown],
        }

    def history(self, history: History, epoch_ms: bool = False) -> Json:
        author = {} if history.author is None else {"author": self.user(history.author)}
        return {
            "id": history.id,
            **author,
            "created": history.at // MS if epoch_ms else jira_time(history.at, self.zone),
            "items": [item.payload() for item in history.items],
        }

    def user(self, account_id: str | None) -> Json | None:
        if account_id is None:
            return None
        account = self.store.accounts.get(account_id)
        if account is not None:
            return account.payload()
        return {
            "accountId": account_id,
            "accountType": "unknown",
            "displayName": "Former user",
            "active": False,
        }

    def _readers(self) -> dict[str, Callable[[Issue], Any]]:
        """Field id -> function from an issue to its value; an empty custom field is null."""
        catalogue = self.store.catalogue

        def when(name: str) -> Callable[[Issue], str | None]:
            def read(issue: Issue) -> str | None:
                at = getattr(issue, name)
                return None if at is None else jira_time(at, self.zone)

            return read

        readers: dict[str, Callable[[Issue], Any]] = {
            "summary": lambda issue: issue.summary,
            "description": self.description,
            "issuetype": lambda issue: catalogue.issue_types[issue.issue_type].payload(),
            "project": lambda issue: catalogue.projects[issue.project].payload(),
            "status": lambda issue: catalogue.statuses[issue.status].payload(),
            "statuscategorychangedate": when("category_changed"),
            "priority": lambda issue: (
                catalogue.priorities[issue.priority].payload() if issue.priority else None
            ),
            "created": when("created"),
            "updated": when("updated"),
            "resolution": lambda issue: (
                {"id": RESOLUTION_ID, "name": issue.resolution} if issue.resolution else None
            ),
            "resolutiondate": when("resolved"),
            "labels": lambda issue: issue.labels,
            "assignee": lambda issue: self.user(issue.assignee),
            "reporter": lambda issue: self.user(issue.reporter),
            "creator": lambda issue: self.user(issue.reporter),
        }
        for field in catalogue.fields.values():
            if field.custom:
                readers[field.id] = self.custom(field.id, field.type)
        return readers

    def custom(self, id_: str, kind: str) -> Callable[[Issue], Any]:
        if id_ == ids.SERVICES_FIELD:
            return lambda issue: [{"id": ari} for ari in issue.services]
        if id_ == ids.RESPONDERS_FIELD:
            return lambda issue: [self.responder(*who) for who in issue.responders] or None
        if id_ == ids.MAJOR_FIELD:
            return lambda issue: {"id": "10090", "value": "Major incident"} if issue.major else None

        def read(issue: Issue) -> Any:
            value = issue.custom.get(id_)
            return jira_time(to_nanos(value), self.zone) if kind == "datetime" and value else value

        return read

    def responder(self, kind: str, id_: str) -> Any:
        """Its shape in an issue is not documented; the incidents API has {ari, name, type}."""
        ari = f"ari:cloud:identity::{kind}/{id_}"
        shape = self.store.switches.responders_shape
        if shape == "api":
            return {"ari": ari, "name": self.responder_name(kind, id_), "type": kind}
        if shape == "text":
            return self.responder_name(kind, id_)
        return {"ari": {"ari": ari}, "accountId": {"accountId": id_}, "id": {"id": id_}}[shape]

    def responder_name(self, kind: str, id_: str) -> str:
        if kind == "team":
            team = self.store.operations.teams.get(id_)
            return team.name if team else ""
        account = self.store.accounts.get(id_)
        return account.name if account else ""

    def description(self, issue: Issue) -> Any:
        if self.plain:
            return issue.description or None
        if issue.document is not None:
            return issue.document
        return document(issue.description) if issue.description else None
