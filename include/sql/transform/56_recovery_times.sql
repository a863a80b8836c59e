-- The recovery times of each period in which one came, went or changed: their means and quantiles, which no
-- difference to what is stored can tell.

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

create temporary table recovered on commit drop as
select
    services.nth as nth_service,
    days.day,
    days.week,
    days.month,
    fact.seconds_to_recover,
    fact.deployment_id is not null as is_attributed,
    fact.is_first,
    fact.is_incident_attributed
from dora.incident_facts as fact
inner join recovery_days as days on fact.recovered_day = days.day
left join recovery_services as services using (service);

analyze recovered;

create temporary table recovery_times on commit drop as
with
-- An incident counts once; it is attributed to a deployment if one of its services is.
of_all_services as (
    select
        case grouping(day, week) when 1 then 'day' when 2 then 'week' else 'month' end as grain,
        coalesce(day, week, month) as period_start,
        -- Whole microseconds: their sum does not depend on the order of the rows.
        avg((seconds_to_recover * 1000000)::bigint) filter (where is_incident_attributed) as mean_microseconds,
        -- Both in one call, which sorts once.
        percentile_cont(array[0.5, 0.9]) within group (order by seconds_to_recover)
            filter (where is_incident_attributed) as quantiles,
        avg((seconds_to_recover * 1000000)::bigint) as all_mean_microseconds,
        percentile_cont(0.5) within group (order by seconds_to_recover) as all_median
    from recovered
    where is_first
    group by grouping sets ((month, day), (month), (week))
),

services_cells as (
    select
        cells.cell,
        cells.grain,
        cells.period_start,
        services.nth as nth_service
    from recovery_cells as cells
    inner join recovery_services as services using (service)
),

times as (
    select cells.cell, recovered.seconds_to_recover, recovered.is_attributed
    from recovered
    inner join services_cells as cells
        on recovered.nth_service = cells.nth_service and recovered.day = cells.period_start and cells.grain = 'day'
    union all
    select cells.cell, recovered.seconds_to_recover, recovered.is_attributed
    from recovered
    inner join services_cells as cells
        on recovered.nth_service = cells.nth_service and recovered.week = cells.period_start and cells.grain = 'week'
    union all
    select cells.cell, recovered.seconds_to_recover, recovered.is_attributed
    from recovered
    inner join services_cells as cells
        on recovered.nth_service = cells.nth_service and recovered.month = cells.period_start and cells.grain = 'month'
),

of_each_service as (
    select
        cell,
        avg((seconds_to_recover * 1000000)::bigint) filter (where is_attributed) as mean_microseconds,
        percentile_cont(array[0.5, 0.9]) within group (order by seconds_to_recover)
            filter (where is_attributed) as quantiles,
        avg((seconds_to_recover * 1000000)::bigint) as all_mean_microseconds,
        percentile_cont(0.5) within group (order by seconds_to_recover) as all_median
    from times
    group by cell
),

found as (
    select cells.*, summed.mean_microseconds, summed.quantiles, summed.all_mean_microseconds, summed.all_median
    from recovery_cells as cells
    left join of_all_services as summed using (grain, period_start)
    where cells.service = ''
    union all
    select cells.*, summed.mean_microseconds, summed.quantiles, summed.all_mean_microseconds, summed.all_median
    from recovery_cells as cells
    left join of_each_service as summed using (cell)
    where cells.service <> ''
)

select
    grain,
    period_start,
    service,
    (mean_microseconds / 1000000)::double precision as mttr_mean_seconds,
    quantiles[1] as mttr_median_seconds,
    quantiles[2] as mttr_p90_seconds,
    (all_mean_microseconds / 1000000)::double precision as mttr_all_mean_seconds,
    all_median as mttr_all_median_seconds
from found;

analyze recovery_times;
