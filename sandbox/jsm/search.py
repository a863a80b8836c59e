"""GET search/jql: paged by a token; pages may be shorter than requested."""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections.abc import Collection
from dataclasses import dataclass

from starlette.responses import Response

from sandbox.instants import DAY, MS, Nanos
from sandbox.jsm import jql
from sandbox.jsm.access import NOBODY
from sandbox.jsm.errors import ApiError, bad_request
from sandbox.jsm.issue_bodies import View
from sandbox.jsm.matching import Matcher
from sandbox.jsm.model import Issue, Json
from sandbox.jsm.store import Store
from sandbox.jsm.web import Call

#: Maximum page sizes: with ids and keys only, and with any other field.
MAX_IDS, MAX_ISSUES = 5_000, 100
TOKEN_LIFE = 7 * DAY
EXPANDS = frozenset(
    {"renderedFields", "names", "schema", "transitions", "operations", "editmeta", "changelog",
     "versionedRepresentations"}
)  # fmt: skip


async def removed(call: Call) -> Response:
    """The former search by offset (CHANGE-2046)."""
    raise ApiError(410, "The requested API has been removed. Please migrate to the /search/jql API.")


@dataclass(frozen=True, slots=True)
class _Page:
    """The state behind a page token. `ids`: the whole result at the time of the first page."""

    jql: str
    token_name: str
    ids: list[str]
    offset: int
    made: Nanos
    empty: bool


class Searches:
    """The search, and the page tokens that it has issued."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._pages: dict[str, _Page] = {}
        self._lock = threading.Lock()

    async def search(self, call: Call) -> Response:
        query = jql.parse(call.text("jql"))
        fields = call.many("fields") or ["id"]
        expand = set(call.many("expand"))
        if expand - EXPANDS:
            raise bad_request(f"The expand options {', '.join(sorted(expand - EXPANDS))} are not valid.")
        max_size = MAX_ISSUES if expand or set(fields) - {"id", "key"} else MAX_IDS
        requested = min(call.number("maxResults", 50, 1), max_size)
        size = min(requested, self.store.switches.page_most or requested)
        page = self._begin(call, query)
        if page.empty:
            return self._answer(call, [], dataclasses.replace(page, empty=False))
        ids = self._find(call, query) if self.store.switches.live_tokens else page.ids
        found = [self.store.issues.get(id_) for id_ in ids[page.offset : page.offset + size]]
        # Issues that were deleted or hidden meanwhile shorten the page.
        shown = [issue for issue in found if issue is not None and self.store.sees(call.token, issue)]
        view, cut = View(call), self.store.switches.search_changelog_cut
        issues = [view.issue(issue, fields, expand - {"names", "schema"}, cut) for issue in shown]
        end = page.offset + size
        following = None
        if end < len(ids):
            following = dataclasses.replace(page, offset=end, empty=self.store.switches.empty_pages)
        return self._answer(call, issues, following, expand)

    def _begin(self, call: Call, query: jql.Query) -> _Page:
        token, text = call.text("nextPageToken"), call.text("jql")
        now = self.store.clock()
        if not token:
            empty = self.store.switches.empty_pages
            return _Page(text, call.token.name, self._find(call, query), 0, now, empty)
        page = self._pages.get(token)
        if page is None or page.jql != text or page.token_name != call.token.name:
            raise bad_request("The provided next page token is invalid for this query.")
        if now - page.made > TOKEN_LIFE:
            raise bad_request("The provided next page token has expired.")
        return page

    def _find(self, call: Call, query: jql.Query) -> list[str]:
        """The ids of the matching issues, in the requested order."""
        store = self.store
        fresh = set(call.many("reconcileIssues"))
        if len(fresh) > 50:
            raise bad_request("At most 50 issues can be reconciled.")

        def exists(text: str) -> bool:
            issue = store.issues.get(text)
            return issue is not None and store.sees(call.token, issue)

        strict = store.switches.unknown_values_fail and call.token is not NOBODY
        matcher = Matcher(store.catalogue, call.zone, store.clock(), strict, exists)
        test = matcher.test(query)
        visible = [issue for issue in store.issues.all() if store.sees(call.token, issue)]
        known = [issue for live in visible if (issue := self._indexed(live, fresh)) is not None]
        return [issue.id for issue in matcher.sort([issue for issue in known if test(issue)], query.order)]

    def _indexed(self, issue: Issue, fresh: set[str]) -> Issue | None:
        """The version of an issue in the search index; None if it is not indexed yet."""
        lag = self.store.switches.index_lag_ms * MS
        if not lag or issue.indexed is None or issue.id in fresh:
            return issue
        updated, since = issue.indexed
        if self.store.clock() - since >= lag:
            return issue
        return None if updated is None else dataclasses.replace(issue, updated=updated)

    def _answer(
        self, call: Call, issues: list[Json], following: _Page | None, expand: Collection[str] = ()
    ) -> Response:
        body: Json = {"issues": issues, "isLast": following is None}
        if following is not None:
            token = secrets.token_urlsafe(24)
            with self._lock:
                self._pages[token] = following
            body["nextPageToken"] = token
        catalogue = self.store.catalogue
        if "names" in expand:
            body["names"] = {field.id: field.name for field in catalogue.fields.values()}
        if "schema" in expand:
            body["schema"] = {field.id: field.payload()["schema"] for field in catalogue.fields.values()}
        return call.ok(body)
