"""What the key of each account was found to see when it was last validated."""

from __future__ import annotations

from typing import NamedTuple

from psycopg.types.json import Jsonb

from opsgenie_provider.warehouse.connection import Connection

# One validation a day, with the same grace as for the daily full read.
_VALID_FOR = "23 hours 30 minutes"

# Domain -> [requests, seconds] windows, as plain JSON.
StoredLimits = dict[str, list[list[float]]]


class Access(NamedTuple):
    """What a key may read, as its validation found.

    :param reach: what the key sees of the account: ``absence.WHOLE_ACCOUNT``, or a name for this key.
    :param configuration: whether it may read services, teams, schedules, escalations, timelines.
    :param limits: rate limits per domain as [requests, seconds].
    :param notes: what this key will not see, in words.
    """

    reach: str
    configuration: bool
    limits: StoredLimits
    notes: list[str]

    @property
    def permissions_id(self) -> str:
        """A name for what the key may read, its rights included: two keys of the same name see the same."""
        return self.reach if self.configuration else f"{self.reach}, no configuration"


def stored_access(connection: Connection, account: str, key_hash: str) -> Access | None:
    """What the last validation found; None where it is a day old or of another key."""
    row = connection.execute(
        "select key_reach, configuration, limits, notes from staging.opsgenie_keys "
        "where account = %s and key_hash = %s and checked_at > now() - %s::interval",
        (account, key_hash, _VALID_FOR),
    ).fetchone()
    return Access(*row) if row else None


def store_access(connection: Connection, account: str, key_hash: str, access: Access) -> None:
    """Note what a validation found.

    Where the key sees another part of the account than the one before, the whole history is due: what was
    read so far lacks what only this key sees.
    """
    connection.execute(
        "delete from staging.sync_state where account = %s and stream like '%%full_read' and exists "
        "(select from staging.opsgenie_keys as keys where keys.account = %s and keys.key_reach <> %s)",
        (account, account, access.reach),
    )
    connection.execute(
        """
        insert into staging.opsgenie_keys as keys
            (account, key_reach, notes, checked_at, key_hash, configuration, limits)
        values (%s, %s, %s, now(), %s, %s, %s)
        on conflict (account) do update set
            key_reach = excluded.key_reach, notes = excluded.notes, checked_at = now(),
            key_hash = excluded.key_hash, configuration = excluded.configuration, limits = excluded.limits
        """,
        (account, access.reach, access.notes, key_hash, access.configuration, Jsonb(access.limits)),
    )


def expire_access(connection: Connection, account: str) -> None:
    """Have the key validated again by the next try or run."""
    connection.execute("update staging.opsgenie_keys set key_hash = null where account = %s", (account,))
