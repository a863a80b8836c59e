-- Incidents that could not be imported, and why, the latest first.
select
    account,
    pagerduty_id,
    coalesce(last_error, reason) as reason,
    attempts,
    original_created_at,
    updated_at
from migration.ledger
where state = 'failed'
order by updated_at desc
limit 50
