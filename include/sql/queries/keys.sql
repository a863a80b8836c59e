-- What each account's key was found to see, and what it does not.
select
    account,
    key_reach,
    notes,
    checked_at
from staging.opsgenie_keys
order by account
