"""When an object that a read did not list counts as deleted: one rule for every service and object.

Both conditions must hold:

- the read was complete: every page was read, and no item moved across a page boundary meanwhile, as
  the service's own count or a second read confirms (``api.listing``, ``api.opsgenie_windows``);
- the key can read everything in the account.

A 403 or 404 shows only that a key cannot see an object, never by itself that it was deleted: the
stored rows stay, and are read again when a key with another reach is used.
"""

from __future__ import annotations

# The reach of a key that can read its whole account. Any other value names what a restricted key can read.
WHOLE_ACCOUNT = "account"


def is_fact(*, reach: str, complete: bool) -> bool:
    """Whether an object that a read did not list was deleted at the source.

    :param reach: what the key can read: ``WHOLE_ACCOUNT``, or anything else for less.
    :param complete: whether the read is known to hold everything that the key can read.
    """
    return complete and reach == WHOLE_ACCOUNT
