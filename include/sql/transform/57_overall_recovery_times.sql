-- The recovery times of all services together. Every month has many: its quantiles are found without sorting them
-- all. Counts tell in which bins the wanted ones lie, and only these bins are sorted.

-- Which days a period consists of; a day counts in three.
create temporary table overall_days on commit drop as
select
    cells.cell,
    days.day
from recovery_days as days
cross join lateral (values ('day', days.day), ('week', days.week), ('month', days.month)) as period (grain, period_start)
inner join recovery_cells as cells using (grain, period_start)
where cells.service = '';

analyze overall_days;

-- One row per period and bin. An incident counts once; it is attributed to a deployment if one of its services is.
create temporary table overall_bins on commit drop as
with
by_day as (
    select
        day,
        bin,
        count(*) as times,
        count(*) filter (where is_incident_attributed) as attributed_times,
        -- Whole microseconds: their sum does not depend on the order of the rows.
        sum((seconds_to_recover * 1000000)::bigint) as microseconds,
        sum((seconds_to_recover * 1000000)::bigint) filter (where is_incident_attributed) as attributed_microseconds
    from recovered
    where is_first and seconds_to_recover is not null
    group by day, bin
)

select
    days.cell,
    by_day.bin,
    sum(by_day.times)::bigint as times,
    sum(by_day.attributed_times)::bigint as attributed_times,
    sum(by_day.microseconds) as microseconds,
    sum(by_day.attributed_microseconds) as attributed_microseconds
from by_day
inner join overall_days as days using (day)
group by days.cell, by_day.bin;

analyze overall_bins;

-- A continuous quantile lies between the two recovery times whose ranks, from 0 on, enclose its position. Of each
-- one the bins of these two, and how many recovery times lie before the bin.
create temporary table overall_quantiles on commit drop as
with
ranked as (
    select
        bins.cell,
        wanted.quantile,
        wanted.is_of_attributed,
        bins.bin,
        counted.times,
        sum(counted.times) over in_order - counted.times as passed_over,
        wanted.quantile * (sum(counted.times) over whole - 1)::double precision as position
    from overall_bins as bins
    cross join (
        values (0.5::double precision, true), (0.9, true), (0.5, false)
    ) as wanted (quantile, is_of_attributed)
    cross join lateral (
        select case when wanted.is_of_attributed then bins.attributed_times else bins.times end as times
    ) as counted
    where counted.times > 0
    window
    whole as (partition by bins.cell, wanted.quantile, wanted.is_of_attributed),
    in_order as (whole order by bins.bin)
)

select
    cell,
    quantile,
    is_of_attributed,
    bin,
    position,
    min(passed_over) over (partition by cell, quantile, is_of_attributed) as passed_over
from ranked
where passed_over <= ceil(position) and passed_over + times > floor(position);

analyze overall_quantiles;

create temporary table overall_recovery_times on commit drop as
with
means as (
    select
        cell,
        (sum(attributed_microseconds) / nullif(sum(attributed_times), 0) / 1000000)::double precision as attributed_mean,
        (sum(microseconds) / sum(times) / 1000000)::double precision as all_mean
    from overall_bins
    group by cell
),

sorted as (
    select
        sought.cell,
        sought.quantile,
        sought.is_of_attributed,
        sought.position,
        recovered.seconds_to_recover as seconds,
        sought.passed_over - 1 + row_number() over (
            partition by sought.cell, sought.quantile, sought.is_of_attributed
            order by recovered.seconds_to_recover
        ) as nth
    from overall_quantiles as sought
    inner join overall_days as days using (cell)
    inner join recovered using (day, bin)
    where
        recovered.is_first
        and recovered.seconds_to_recover is not null
        and (recovered.is_incident_attributed or not sought.is_of_attributed)
),

enclosed as (
    select
        cell,
        quantile,
        is_of_attributed,
        position - floor(position) as share,
        min(seconds) filter (where nth = floor(position)) as below,
        min(seconds) filter (where nth = ceil(position)) as above
    from sorted
    group by cell, quantile, is_of_attributed, position
),

quantiles as (
    select
        cell,
        min(below + share * (above - below)) filter (where is_of_attributed and quantile = 0.5) as attributed_median,
        min(below + share * (above - below)) filter (where is_of_attributed and quantile = 0.9) as attributed_p90,
        min(below + share * (above - below)) filter (where not is_of_attributed) as all_median
    from enclosed
    group by cell
)

select *
from means
left join quantiles using (cell);

analyze overall_recovery_times;
