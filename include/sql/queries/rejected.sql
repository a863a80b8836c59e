-- The latest payloads that could not be read, and why.
select
    account,
    stream,
    reason,
    seen_at,
    left(payload::text, 300) as payload
from staging.rejected_payloads
order by seen_at desc
limit 20
