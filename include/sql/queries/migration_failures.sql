-- Incidents that could not be imported, and why, the latest first.
select
    pagerduty_id,
    coalesce(last_error, reason) as reason,
    attempts,
    updated_at
from migration.ledger
where state = 'failed'
order by updated_at desc
limit 50
