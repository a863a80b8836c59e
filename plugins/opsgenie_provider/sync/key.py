"""What an account's key may read: validated once a day, and wherever that may have changed."""

from __future__ import annotations

import logging

from opsgenie_provider import absence
from opsgenie_provider.sync.reader import Reader
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.keys import Access, expire_access, store_access, stored_access

log = logging.getLogger(__name__)


class Key:
    """The key of an account, and what is known of its rights.

    :ivar access: what it may read.
    :ivar is_validated: whether that was found out in this run.
    """

    access: Access

    def __init__(self, connection: Connection, account: str, reader: Reader) -> None:
        self._connection = connection
        self._account = account
        self._reader = reader
        self.is_validated = False

    def load_or_validate(self) -> None:
        """Take what the last validation found, or validate the key where that is due.

        :raises ApiError: the key cannot be validated.
        """
        known = stored_access(self._connection, self._account, self._reader.key_hash)
        if known is None:
            self.validate()
        else:
            self.access = known
            self._reader.set_limits(known.limits)

    def validate(self) -> None:
        """Ask the account what the key may read, and note it.

        :raises ApiError: it cannot read incidents at all, or the account does not answer.
        """
        # Until that is known, nobody is to rely on what was known before.
        expire_access(self._connection, self._account)
        access = self._reader.validate()
        store_access(self._connection, self._account, self._reader.key_hash, access)
        self.access = access
        self.is_validated = True
        self._reader.set_limits(access.limits)
        for note in access.notes:
            log.warning("%s: %s", self._account, note)
        log.info(
            "%s: the key is valid; it sees %s.",
            self._account,
            "the whole account" if access.reach == absence.WHOLE_ACCOUNT else "a part of the account",
        )

    def absence_is_fact(self, *, complete: bool) -> bool:
        """Whether what a read lacks is gone at the source, by what the key reaches in this very run.

        :param complete: whether the read is known to hold all that the key sees.
        """
        fact = absence.is_fact(reach=self.access.reach, complete=complete)
        if fact and not self.is_validated:
            self.validate()
            fact = absence.is_fact(reach=self.access.reach, complete=complete)
        return fact
