-- How many incidents of the migration are in each state, and why those that were left out were.
select
    account,
    state,
    reason,
    count(*) as incidents
from (
    select
        account,
        state,
        -- Each names the other incident.
        case when reason like 'merged into %%' then 'merged into another incident' else reason end as reason
    from migration.ledger
) as booked
group by account, state, reason
order by account asc, state asc, incidents desc, reason asc
limit 200
