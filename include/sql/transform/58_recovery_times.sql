-- The means and quantiles of each period's recovery times, by service and of all services together.

-- One row per period and service in which a recovery time came, went or changed; null where there is none now.
create temporary table recovery_times on commit drop as
with
services_cells as (
    select
        cells.cell,
        cells.grain,
        cells.period_start,
        services.nth as nth_service
    from recovery_cells as cells
    inner join recovery_services as services using (service)
),

-- By grain, with a row per cell: joined at once, with a row per cell and day, it takes over half as long again.
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
        -- Whole microseconds: their sum does not depend on the order of the rows.
        (avg((seconds_to_recover * 1000000)::bigint) filter (where is_attributed) / 1000000)::double precision
            as attributed_mean,
        -- Both in one call, which sorts once.
        percentile_cont(array[0.5, 0.9]) within group (order by seconds_to_recover)
            filter (where is_attributed) as attributed_quantiles,
        (avg((seconds_to_recover * 1000000)::bigint) / 1000000)::double precision as all_mean,
        percentile_cont(0.5) within group (order by seconds_to_recover) as all_median
    from times
    group by cell
)

select
    cells.grain,
    cells.period_start,
    cells.service,
    coalesce(one.attributed_mean, overall.attributed_mean) as mttr_mean_seconds,
    coalesce(one.attributed_quantiles[1], overall.attributed_median) as mttr_median_seconds,
    coalesce(one.attributed_quantiles[2], overall.attributed_p90) as mttr_p90_seconds,
    coalesce(one.all_mean, overall.all_mean) as mttr_all_mean_seconds,
    coalesce(one.all_median, overall.all_median) as mttr_all_median_seconds
from recovery_cells as cells
left join of_each_service as one using (cell)
left join overall_recovery_times as overall using (cell);

analyze recovery_times;
