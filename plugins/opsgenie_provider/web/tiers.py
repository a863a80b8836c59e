"""The DORA tier tables: what a change failure rate and a time to recover count as.

2021 and 2023 are the tables of DORA's reports of these years, as Apache DevLake's documentation quotes
them. Later reports have none that could be used: in 2024's the high tier fails more often than the medium.
"""

from __future__ import annotations

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY

# Up to and including which rate. In 2021 all but the elite share one range.
RATES: dict[int, tuple[tuple[float, str], ...]] = {
    2021: ((0.15, "Elite"), (0.30, "High to low")),
    2023: ((0.05, "Elite"), (0.10, "High"), (0.15, "Medium")),
}
RECOVERIES: tuple[tuple[float, str], ...] = ((HOUR, "Elite"), (DAY, "High"), (WEEK, "Medium"))


def rate_tier(rate: float | None, table: int) -> str | None:
    """The tier of a change failure rate (0 to 1) in the table of a year; None where it is not known."""
    if rate is None:
        return None
    return next((tier for most, tier in RATES[table] if rate <= most), "Low")


def recovery_tier(seconds: float | None) -> str | None:
    """The tier of a time to recover; None where it is not known. Both tables say the same."""
    if seconds is None:
        return None
    return next((tier for below, tier in RECOVERIES if seconds < below), "Low")
