"""What the matches that follow and precede their deployment say, in words.

What a deployment causes follows it; chance brings as much before a deployment as after it. docs/metrics.md
has the reasoning, the SQL function ``dora.caused_share`` the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from opsgenie_provider.display import number, percent

# With fewer matches the interval spans most of what is possible.
TOO_FEW = 10
# How much of the matches looks caused, up to which share.
_WORDS = (
    (0.05, "hardly any"),
    (0.15, "about a tenth"),
    (0.22, "about a fifth"),
    (0.29, "about a quarter"),
    (0.4, "about a third"),
    (0.58, "about half"),
    (0.71, "about two thirds"),
    (0.85, "about three quarters"),
    (0.95, "about nine in ten"),
)
EXPLANATION = (
    "What a deployment causes opens after it; incidents that have nothing to do with it open before it as "
    "often as after it. The more bars on the right than on the left, the more of the matches are real."
)


class Matches(NamedTuple):
    """The matches of a service, or of all together.

    :param following: incidents that opened at or after the deployment that they match was triggered.
    :param preceding: incidents that opened before it.
    :param share: how much of them looks caused by the deployment, 0 to 1; None where that cannot be
        estimated.
    :param low: the lower bound of the share, at 90 %.
    :param high: the upper bound.
    """

    following: int = 0
    preceding: int = 0
    share: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any] | None) -> Matches:
        """From the columns of dora.match_quality."""
        if row is None:
            return cls()
        return cls(
            row["matched_following"] or 0,
            row["matched_preceding"] or 0,
            row["caused_share"],
            row["caused_share_low"],
            row["caused_share_high"],
        )

    @property
    def total(self) -> int:
        """How many matches there are."""
        return self.following + self.preceding


class CausedRate(NamedTuple):
    """A change failure rate of the failures that look caused, with its bounds at 90 %."""

    rate: float
    low: float
    high: float


def sentence(matches: Matches) -> str:
    """What the matches are worth: "9 of 12 matched incidents opened after their deployment, 3 ..."."""
    if not matches.total:
        return "No incident matches a deployment."
    noun = "incident opened after its" if matches.total == 1 else "incidents opened after their"
    counts = (
        f"{number(matches.following)} of {number(matches.total)} matched {noun} deployment, "
        f"{number(matches.preceding)} before it"
    )
    if matches.share is None or matches.low is None or matches.high is None:
        return f"{counts}: how many look caused can be estimated only with equal windows before and after."
    if matches.total < TOO_FEW:
        return f"{counts}: too few to estimate how many look caused."
    bounds = f"({percent(matches.low, 0)} to {percent(matches.high, 0)})"
    if matches.high == 0:
        return (
            f"{counts}: more precede than chance would bring, as deployments do that fix an incident. "
            "The setting direction: before_only leaves them out."
        )
    if matches.share == 0:
        return f"{counts}: no more than chance would bring {bounds}."
    return f"{counts}: {share_in_words(matches.share)} of them look caused {bounds}."


def share_in_words(share: float) -> str:
    """A share of the matches: "about half"."""
    return next((word for most, word in _WORDS if share < most), "nearly all")


def caused_rate(row: Mapping[str, Any], decided: int, matches: Matches) -> CausedRate | None:
    """The change failure rate without coincidental matches; None where that cannot be estimated.

    :param row: ``deployments`` and ``change_failures`` of a period.
    :param decided: how many of the change failures people have decided by an override: these count.
    :param matches: of the service, or of all, over the whole history.
    """
    if not row["deployments"]:
        return None
    guessed = max(0, row["change_failures"] - decided)
    if not guessed:
        share = low = high = 0.0
    elif matches.total < TOO_FEW or matches.share is None or matches.low is None or matches.high is None:
        return None
    else:
        share, low, high = matches.share, matches.low, matches.high
    return CausedRate(*((decided + guessed * part) / row["deployments"] for part in (share, low, high)))


def caused_rate_in_words(row: Mapping[str, Any], decided: int, matches: Matches) -> str:
    """The sentence beside a change failure rate."""
    if not row["change_failures"]:
        return ""
    rate = caused_rate(row, decided, matches)
    if rate is not None:
        return (
            f"Without coincidental matches: about {percent(rate.rate)} "
            f"(90 % interval {percent(rate.low)} to {percent(rate.high)})"
        )
    if matches.total < TOO_FEW:
        return f"Too few matches ({number(matches.total)}) to estimate coincidence"
    return "Coincidence can be estimated only with equal windows before and after"
