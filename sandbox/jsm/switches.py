"""What the published descriptions leave open, and what a site may or may not have: each can be set."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Switches:
    """The defaults are the likelier, or else the stricter reading; `/_sandbox/settings` changes each.

    Everywhere:

    - `renamed`: keys of answers that come under another name, `{"values": "data"}` say: a shape nobody knows

    The site:

    - `site_known`: False: no such site; tenant_info and every API answer 404
    - `operations`: on, 402 (the plan has none), 40301 (no access)

    Credentials:

    - `expired_message`: what the 401 of an expired token says; '': no more than that of a wrong one
    - `anonymous_search`: a wrong token counts as nobody in Jira's search and fields: empty lists, no 401
    - `scoped_tokens_on_ops`: whether /jsm/ops/api takes scoped tokens, or only /ex/jira/.../jsm/ops/api
    - `service_account_status`: what Operations says to a service account, 401 or 403
    - `unlicensed`: what it says to a user without an agent's licence: 403, or empty (lists)

    Search:

    - `page_most`: serve at most so many issues a page, whatever is asked (0: the published caps)
    - `empty_pages`: before each page, the first too, comes an empty one with a token
    - `live_tokens`: a token is an offset into the list as it is now; else into that of the first page
    - `unknown_values_fail`: a name in JQL that the site does not have is a 400; else it matches nothing
    - `index_lag_ms`: how long a change takes to the search index

    Issues:

    - `changelog_cut`: entries of expand=changelog in an issue; `search_changelog_cut`: in a search (0: all)
    - `changelog_total`: its total counts all of them; else those that are shown
    - `changelog_newest_first`: the order of expand=changelog
    - `epoch_ms`: `created` of a bulk changelog's entries is a number
    - `absent_fields`: ids of fields that no issue has, as they are on no screen
    - `responders_shape`: ari, accountId, id, api ({ari, name, type}), text (a shape that nobody knows)

    Users:

    - `users_most`: the cap of maxResults in user/bulk

    Operations:

    - `error_shape`: of errors: ops ({errors}) or opsgenie ({code, message, took, requestId})
    - `size_over_cap_fails`: a size above the cap is a 422; else the cap counts
    - `last_link`: links.next of the last page: absent or null
    - `stuck_paging`: every page is the first one, with a next
    - `global_team`: teamId of a global schedule: empty, null or absent
    - `no_repeat`: an escalation without repetition: zero (waitInterval 0) or absent
    - `timeline_zone`: where a timeline's unit begins: utc, schedule or account (the caller's zone)
    - `timeline_reach`: what must lie within a year: the window's start, or the date asked for
    - `plain_teams`: whether teams without operations are listed
    - `alert_statuses`: live (open, closed) or spec (acked, snoozed, too)
    - `alert_list_details`: whether the list has description and extraProperties
    - `alert_from`: what from and to are: seconds, date-time or ignored

    Services:

    - `services_most`: the page cap; `padded_ids`: whether the base64 of the ids ends in =

    Limits:

    - `limit_reason`: RateLimit-Reason of Jira's 429; `retry_after`: its seconds (0: until the window ends)
    - `beta_headers`: Jira's limit headers have a Beta- prefix
    - `ops_limit_headers`: Operations has OpsGenie's X-RateLimit headers
    """

    renamed: dict[str, str] = field(default_factory=dict)
    site_known: bool = True
    operations: str = "on"
    expired_message: str = ""
    anonymous_search: bool = False
    scoped_tokens_on_ops: bool = True
    service_account_status: int = 401
    unlicensed: str = "403"
    page_most: int = 0
    empty_pages: bool = False
    live_tokens: bool = False
    unknown_values_fail: bool = True
    index_lag_ms: int = 0
    changelog_cut: int = 40
    search_changelog_cut: int = 40
    changelog_total: bool = True
    changelog_newest_first: bool = True
    epoch_ms: bool = False
    absent_fields: list[str] = field(default_factory=list)
    responders_shape: str = "ari"
    users_most: int = 100
    error_shape: str = "ops"
    size_over_cap_fails: bool = True
    last_link: str = "absent"
    stuck_paging: bool = False
    global_team: str = "empty"
    no_repeat: str = "zero"
    timeline_zone: str = "utc"
    timeline_reach: str = "window"
    plain_teams: bool = False
    alert_statuses: str = "live"
    alert_list_details: bool = True
    alert_from: str = "seconds"
    services_most: int = 50
    padded_ids: bool = True
    limit_reason: str = "jira-burst-based"
    retry_after: int = 0
    beta_headers: bool = False
    ops_limit_headers: bool = False
