-- All days on which anything counts.
insert into touched_days (service, day)
select
    service,
    dora.utc_day(opened_at) as day
from dora.incident_attribution
union
select
    service,
    dora.utc_day(recovered_at) as day
from dora.incident_attribution
where recovered_at is not null
union
select
    service,
    dora.utc_day(triggered_at) as day
from dora.deployment_outcomes;
