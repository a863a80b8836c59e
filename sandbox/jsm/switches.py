"""Settings for behaviour that the documentation leaves open, or that differs between sites."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Switches:
    """The defaults are the likelier or else the stricter behaviour; `/_sandbox/settings` changes them.

    Everywhere:

    - `renamed`: key of answers -> another key, like `{"values": "data"}`: an undocumented shape

    The site:

    - `site_known`: False: the site does not exist; tenant_info and every API answer 404
    - `operations`: on, 402 (the plan has none), 40301 (no access)

    Credentials:

    - `expired_message`: message of the 401 for an expired token; '': the same as for a wrong token
    - `anonymous_search`: Jira treats a wrong or expired token as anonymous: empty lists, 404 for issues and
      projects, no 401; but for users
    - `scoped_tokens_on_ops`: whether /jsm/ops/api accepts scoped tokens, or only /ex/jira/.../jsm/ops/api
    - `service_account_status`: Operations' answer to a service account, 401 or 403
    - `unlicensed`: its answer to a user without an agent's licence: 403, or empty (lists)

    Search:

    - `page_most`: the most issues on a page, whatever is requested (0: the documented maximum)
    - `empty_pages`: an empty page with a token precedes every page
    - `live_tokens`: a token is an offset into the current result, not into that of the first page
    - `unknown_values_fail`: an unknown name in JQL is a 400; otherwise it matches nothing
    - `index_lag_ms`: how long it takes until a change is indexed

    Issues:

    - `changelog_cut`: most entries of expand=changelog in an issue (0: all)
    - `search_changelog_cut`: most entries of expand=changelog in a search (0: all)
    - `changelog_total`: its total counts all entries; otherwise only those shown
    - `changelog_newest_first`: the order of expand=changelog
    - `epoch_ms`: `created` of a bulk changelog's entries is a number
    - `absent_fields`: ids of fields that no issue has, because they are on no screen
    - `responders_shape`: ari, accountId, id, api ({ari, name, type}), text (an undocumented shape)

    Users:

    - `users_most`: the maximum of maxResults in user/bulk

    Operations:

    - `error_shape`: of errors: ops ({errors}) or opsgenie ({code, message, took, requestId})
    - `size_over_cap_fails`: a size above the maximum is a 422; otherwise the maximum is used
    - `last_link`: links.next of the last page: absent or null
    - `stuck_paging`: every page is the first page, with a next link
    - `global_team`: teamId of a global schedule: empty, null or absent
    - `no_repeat`: an escalation without repetition: zero (waitInterval 0) or absent
    - `timeline_zone`: time zone of a timeline's units: utc, schedule or account (the caller's zone)
    - `timeline_reach`: what must be within a year: the window's start, or the requested date
    - `plain_teams`: whether teams without Operations are listed
    - `alert_statuses`: live (open, closed) or spec (acked, snoozed, too)
    - `alert_list_details`: whether the list has description and extraProperties
    - `alert_from`: the format of from and to: seconds, date-time or ignored

    Services:

    - `services_most`: the maximum page size; `padded_ids`: whether the base64 of ids is padded with =

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
