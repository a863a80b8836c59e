-- The three sides of the migration by month, the newest first.
select
    account,
    month,
    pagerduty_incidents,
    ledger_incidents,
    opsgenie_incidents,
    pagerduty_seconds,
    ledger_seconds,
    opsgenie_seconds,
    matches
from migration.parity
order by account asc, month desc
limit 200
