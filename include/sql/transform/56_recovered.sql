-- The periods in which a recovery time came, went or changed, and all recovery times of these: no difference to
-- what is stored can tell a quantile. The next two files compute them.

-- One row per such period and service, '' for all services together.
create temporary table recovery_cells on commit drop as
with
-- A recovery that counts more or less often, on another day, or with another time.
differing as (
    select
        service,
        dora.utc_day(recovered_at) as day
    from fact_changes
    where recovered_at is not null
    group by
        source, account, incident_id, service, dora.utc_day(recovered_at), seconds_to_recover,
        deployment_id is not null, is_first, is_incident_attributed
    having sum(times) <> 0
),

days as (
    select distinct service, day from differing
)

select
    (row_number() over ())::int as cell,
    found.*
from (
    select period.grain, period.period_start, days.service
    from days
    cross join lateral dora.periods_of(days.day) as period
    union
    select period.grain, period.period_start, '' as service
    from days
    cross join lateral dora.periods_of(days.day) as period
) as found;

analyze recovery_cells;

-- Small numbers to join and group by: with a million names it takes longer than all the rest.
create temporary table recovery_services on commit drop as
select
    (row_number() over ())::int as nth,
    service
from (select distinct service from recovery_cells where service <> '') as found;

analyze recovery_services;

-- One row per day of these periods.
create temporary table recovery_days on commit drop as
with
days as (
    select distinct period_start + nth_day as day
    from (select distinct grain, period_start from recovery_cells) as periods
    cross join lateral generate_series(
        0,
        case grain
            when 'day' then 0
            when 'week' then 6
            else (period_start + interval '1 month')::date - period_start - 1
        end
    ) as nth_day
)

select
    days.day,
    week.period_start as week,
    month.period_start as month
from days
inner join lateral dora.periods_of(days.day) as week on week.grain = 'week'
inner join lateral dora.periods_of(days.day) as month on month.grain = 'month';

analyze recovery_days;

-- What cuts the recovery times into bins of about as many each: the quantiles of some 20,000 of them. Nothing but
-- the pace depends on which these are.
create temporary table recovery_bounds on commit drop as
select
    percentile_cont(array(select nth / 64.0 from generate_series(1, 63) as nth)) within group (
        order by seconds_to_recover
    ) as bounds
from dora.incident_facts
tablesample system ((
    select least(100, 100 * 20000 / greatest(known.reltuples, 1))
    from pg_class as known
    where known.oid = 'dora.incident_facts'::regclass
));

create temporary table recovered on commit drop as
select
    services.nth as nth_service,
    days.day,
    days.week,
    days.month,
    fact.seconds_to_recover,
    coalesce(width_bucket(fact.seconds_to_recover, sample.bounds), 0)::smallint as bin,
    fact.deployment_id is not null as is_attributed,
    fact.is_first,
    fact.is_incident_attributed
from dora.incident_facts as fact
cross join recovery_bounds as sample
inner join recovery_days as days on fact.recovered_day = days.day
left join recovery_services as services using (service);

analyze recovered;
