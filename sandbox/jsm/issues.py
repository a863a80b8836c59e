"""The issues of a site; every change to an issue adds an entry to its changelog."""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sandbox.instants import MS, Clock, Nanos, When, to_nanos
from sandbox.jsm.catalogue import Catalogue
from sandbox.jsm.model import DONE, RESOLUTION_ID, History, Issue, Item, Named

_DATES = ("created", "updated", "resolved")
_PLAIN = (
    "summary",
    "description",
    "document",
    "labels",
    "services",
    "responders",
    "major",
    "assignee",
    "custom",
)


def _at(history: History) -> Nanos:
    return history.at


def _exact(when: When) -> Nanos:
    """Truncated to milliseconds, as Jira stores it."""
    return to_nanos(when) // MS * MS


class Issues:
    """All methods may be called from any thread while requests are served.

    `at` is now by default. `by`: the id of an account, or None for a change without an author.
    """

    def __init__(self, clock: Clock, catalogue: Catalogue) -> None:
        self.clock = clock
        self.catalogue = catalogue
        self._by_id: dict[str, Issue] = {}
        self._by_key: dict[str, Issue] = {}
        self._last: dict[str, int] = {}
        self._last_id, self._last_history = 10_000, 20_000
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._by_id)

    def all(self) -> list[Issue]:
        with self._lock:
            return list(self._by_id.values())

    def get(self, id_or_key: str) -> Issue | None:
        """By id or key; the key from before a move still finds the issue."""
        return self._by_id.get(id_or_key) or self._by_key.get(id_or_key.upper())

    def find(self, id_: str) -> Issue:
        """An existing issue by id or key.

        :raises KeyError: there is none.
        """
        issue = self.get(id_)
        if issue is None:
            raise KeyError(id_)
        return issue

    def add(
        self,
        summary: str,
        at: When | None = None,
        *,
        project: str = "INC",
        issue_type: str = "[System] Incident",
        status: str = "Open",
        priority: str | None = "Medium",
        **fields: Any,
    ) -> Issue:
        """A new issue; type, status and priority are given by name, the project by key."""
        catalogue = self.catalogue
        created = self._when(at)
        with self._lock:
            self._last_id += 1
            made = Issue(
                id=fields.pop("id", None) or str(self._last_id),
                key=self._new_key(project),
                project=catalogue.project(project).id,
                issue_type=catalogue.issue_type(issue_type).id,
                summary=summary,
                status=catalogue.status(status).id,
                created=created,
                updated=created,
                category_changed=created,
                priority=None if priority is None else catalogue.priority(priority).id,
                **self._given(fields),
            )
            made.indexed = (None, self.clock())
            self._by_id[made.id] = self._by_key[made.key] = made
        return made

    def edit(self, id_: str, at: When | None = None, by: str | None = None, **fields: Any) -> Issue:
        """Summary, description, labels, services, responders, major, assignee, custom (merged), priority,
        issue_type. An instant in `custom` is written as ISO 8601.
        """
        issue = self.find(id_)
        items: list[Item] = []
        with self._lock:
            for name in ("priority", "issue_type"):
                if name in fields:
                    items.append(self._set_named(issue, name, fields.pop(name)))
            for name, value in self._given(fields).items():
                if name not in _PLAIN:
                    raise ValueError(f"{name} cannot be edited: one of {', '.join(_PLAIN)}")
                if name == "custom":
                    value = {**issue.custom, **value}
                before = getattr(issue, name)
                setattr(issue, name, value)
                items.append(Item(name, name, None, str(before), None, str(value)))
        return self.record(issue, items, at, by)

    def transition(
        self,
        id_: str,
        status: str,
        at: When | None = None,
        by: str | None = None,
        *,
        resolution: str | None = "Done",
    ) -> Issue:
        """Move to another status. `resolution`: set by the workflow on entering category done, unless None.

        Leaving category done clears the resolution and its date.
        """
        issue = self.find(id_)
        with self._lock:
            before, after = self.catalogue.statuses[issue.status], self.catalogue.status(status)
            when = self._when(at)
            items = [Item("status", "status", before.id, before.name, after.id, after.name)]
            wanted = resolution if after.category == DONE else None
            if wanted != issue.resolution:
                ids = [RESOLUTION_ID if name else None for name in (issue.resolution, wanted)]
                items.insert(0, Item("resolution", "resolution", ids[0], issue.resolution, ids[1], wanted))
                issue.resolution, issue.resolved = wanted, None if wanted is None else when
            if before.category != after.category:
                issue.category_changed = when
            issue.status = after.id
        return self.record(issue, items, when, by)

    def acknowledge(self, id_: str, at: When | None = None, by: str | None = None) -> Issue:
        return self.transition(id_, "Work in progress", at, by)

    def resolve(self, id_: str, at: When | None = None, by: str | None = None, **how: Any) -> Issue:
        return self.transition(id_, "Completed", at, by, **how)

    def close(self, id_: str, at: When | None = None, by: str | None = None, **how: Any) -> Issue:
        return self.transition(id_, "Closed", at, by, **how)

    def reopen(self, id_: str, at: When | None = None, by: str | None = None) -> Issue:
        return self.transition(id_, "Work in progress", at, by)

    def move(self, id_: str, project: str, at: When | None = None, by: str | None = None) -> Issue:
        """Move to another project: the key changes, the id stays."""
        issue = self.find(id_)
        with self._lock:
            before, after = self.catalogue.projects[issue.project], self.catalogue.project(project)
            key = self._new_key(project)
            items = [
                Item("project", "project", before.id, before.name, after.id, after.name),
                Item("Key", "issuekey", None, issue.key, None, key),
            ]
            issue.old_keys.append(issue.key)
            issue.project, issue.key = after.id, key
            self._by_key[key] = issue
        return self.record(issue, items, at, by)

    def add_history(
        self,
        id_: str,
        items: Sequence[dict[str, Any]],
        at: When | None = None,
        by: str | None = None,
    ) -> Issue:
        """A changelog entry as a bot or a migration writes it: any items, without changing the issue."""
        made = [
            Item(item["field"], item.get("fieldId", item["field"]), item.get("from"), item.get("fromString"),
                 item.get("to"), item.get("toString"))
            for item in items
        ]  # fmt: skip
        return self.record(self.find(id_), made, at, by)

    def hide(self, id_: str, tokens: Iterable[str]) -> Issue:
        """Issue security or project permissions: the tokens with these names no longer see it."""
        issue = self.find(id_)
        issue.hidden_from |= set(tokens)
        return issue

    def show(self, id_: str) -> Issue:
        issue = self.find(id_)
        issue.hidden_from = set()
        return issue

    def delete(self, id_: str) -> None:
        issue = self.find(id_)
        with self._lock:
            del self._by_id[issue.id]
            self._by_key = {key: other for key, other in self._by_key.items() if other is not issue}

    def record(self, issue: Issue, items: list[Item], at: When | None, by: str | None) -> Issue:
        """Add a changelog entry; `updated` becomes its instant, unless it already is later."""
        when = self._when(at)
        with self._lock:
            self._last_history += 1
            insort(issue.histories, History(str(self._last_history), when, by, items), key=_at)
            issue.indexed = (issue.updated, self.clock())
            issue.updated = max(issue.updated, when)
        return issue

    def settle(self) -> None:
        """Bring the search index up to date."""
        for issue in self.all():
            issue.indexed = None

    def _set_named(self, issue: Issue, name: str, value: str | None) -> Item:
        by_name: Callable[[str], Any] = getattr(self.catalogue, name)
        kinds = {"priority": self.catalogue.priorities, "issue_type": self.catalogue.issue_types}
        before = kinds[name].get(getattr(issue, name) or "")
        after: Named | None = None if value is None else by_name(value)
        setattr(issue, name, after.id if after else None)
        field = "issuetype" if name == "issue_type" else name
        from_, to = (("", "") if kind is None else (kind.id, kind.name) for kind in (before, after))
        return Item(field, field, *(text or None for text in (*from_, *to)))

    def _new_key(self, project: str) -> str:
        key = self.catalogue.project(project).key
        self._last[key] = self._last.get(key, 0) + 1
        return f"{key}-{self._last[key]}"

    def _given(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Converts fields as given by a test or over HTTP."""
        if "responders" in fields:
            fields["responders"] = [(kind, id_) for kind, id_ in fields["responders"]]
        return {
            name: _exact(value) if name in _DATES and value is not None else value
            for name, value in fields.items()
        }

    def _when(self, at: When | None) -> Nanos:
        return self.clock() if at is None else _exact(at)
