"""When an absence is a fact: one rule, for every service and every kind of object.

What a read does not show is gone only if the read had to show it. So two things must hold at once:

- the read was complete: every page of it, and no item moved over a page's edge meanwhile, as the
  service's own count or a second read says (``api.listing``, ``api.windows``);
- the key reaches everything that the account has.

A 403 or a 404 says what a key does not see, and never by itself that something is gone: what was
stored of it stays, and stays due for a key of another reach.
"""

from __future__ import annotations

from opsgenie_provider.api.errors import NotFoundError, PermissionDeniedError

# The reach of a key that sees all of its account. Any other reach is a name for what a key sees.
WHOLE_ACCOUNT = "account"
# Answers about a single object that this key does not see.
NOT_SEEN = (NotFoundError, PermissionDeniedError)


def is_fact(*, reach: str, complete: bool) -> bool:
    """Whether what a read lacks is gone at the source.

    :param reach: what the key of the read sees: ``WHOLE_ACCOUNT``, or anything else for less.
    :param complete: whether the read is known to hold all that the key sees.
    """
    return complete and reach == WHOLE_ACCOUNT
