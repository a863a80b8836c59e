-- The recovery times of each period in which one came, went or changed: their means and quantiles, which no
-- difference to what is stored can tell.

-- One row per period and service, '' for all services together. Small numbers to group by: sorting a million
-- names takes longer than all the rest.
create temporary table recovery_cells on commit drop as
with
refresh as (
    select is_full from dora.current_refresh
),

before as (
    select
        source,
        account,
        incident_id,
        service,
        dora.utc_day(recovered_at) as day,
        seconds_to_recover,
        deployment_id is not null as is_attributed,
        is_first,
        is_incident_attributed
    from old_facts
    where recovered_at is not null
),

now as (
    select
        source,
        account,
        incident_id,
        service,
        dora.utc_day(recovered_at) as day,
        seconds_to_recover,
        deployment_id is not null as is_attributed,
        is_first,
        is_incident_attributed
    from changed_facts
    where recovered_at is not null and not (select is_full from refresh)
),

days as (
    (
        select service, day from (select * from before except select * from now) as gone
        union
        select service, day from (select * from now except select * from before) as come
    )
    union
    select distinct service, dora.utc_day(recovered_at) as day
    from new_facts
    where recovered_at is not null and (select is_full from refresh)
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

create temporary table recovery_services on commit drop as
select
    (row_number() over ())::bigint as nth,
    service
from (select distinct service from recovery_cells where service <> '') as found;

analyze recovery_services;

-- A service's day as one number: of two columns, PostgreSQL only knows how well the better one tells rows apart.
create temporary table recovery_cell_days on commit drop as
select
    cells.cell,
    cells.period_start + day_of_period as recovered_day,
    -- As many days as a date can tell; null for all services together.
    services.nth * 10000000 + (cells.period_start + day_of_period - date '2000-01-01') as service_day
from recovery_cells as cells
left join recovery_services as services using (service)
cross join lateral generate_series(
    0,
    case cells.grain
        when 'day' then 0
        when 'week' then 6
        else (cells.period_start + interval '1 month')::date - cells.period_start - 1
    end
) as day_of_period;

analyze recovery_cell_days;

create temporary table recovery_times on commit drop as
with
recovered as materialized (
    select
        services.nth * 10000000 + (fact.recovered_day - date '2000-01-01') as service_day,
        fact.recovered_day,
        fact.seconds_to_recover,
        fact.deployment_id is not null as is_attributed,
        fact.is_first,
        fact.is_incident_attributed
    from dora.incident_facts as fact
    left join recovery_services as services using (service)
    where fact.recovered_day in (select days.recovered_day from recovery_cell_days as days)
),

times as (
    select
        days.cell,
        recovered.seconds_to_recover,
        recovered.is_attributed
    from recovered
    inner join recovery_cell_days as days using (service_day)
    union all
    -- An incident counts once; it is attributed to a deployment if one of its services is.
    select
        days.cell,
        recovered.seconds_to_recover,
        recovered.is_incident_attributed as is_attributed
    from recovered
    inner join recovery_cell_days as days using (recovered_day)
    where days.service_day is null and recovered.is_first
),

summed as (
    select
        cell,
        -- Whole microseconds: their sum does not depend on the order of the rows.
        avg((seconds_to_recover * 1000000)::bigint) filter (where is_attributed) as mean_microseconds,
        -- Both in one call, which sorts once.
        percentile_cont(array[0.5, 0.9]) within group (order by seconds_to_recover)
            filter (where is_attributed) as attributed_quantiles,
        avg((seconds_to_recover * 1000000)::bigint) as all_mean_microseconds,
        percentile_cont(0.5) within group (order by seconds_to_recover) as mttr_all_median_seconds
    from times
    group by cell
)

select
    cells.grain,
    cells.period_start,
    cells.service,
    (summed.mean_microseconds / 1000000)::double precision as mttr_mean_seconds,
    summed.attributed_quantiles[1] as mttr_median_seconds,
    summed.attributed_quantiles[2] as mttr_p90_seconds,
    (summed.all_mean_microseconds / 1000000)::double precision as mttr_all_mean_seconds,
    summed.mttr_all_median_seconds
from recovery_cells as cells
left join summed using (cell);

analyze recovery_times;
