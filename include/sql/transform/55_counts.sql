-- By how much each count of the metrics differs from what is stored: what counts now and did not before, less
-- what counted before and does not now. A full refresh counts everything and stores nothing from before.

-- One row per period and service in which a count may differ, '' for all services together.
create temporary table count_changes on commit drop as
with
refresh as (
    select is_full from dora.current_refresh
),

outcomes as (
    select -1 as times, service, triggered_at, is_change_failure from stored_outcomes
    where not (select is_full from refresh)
    union all
    select 1 as times, service, triggered_at, is_change_failure from new_outcomes
),

-- By day first: it is in three periods, each for its service and for all together. As int: a sum of bigints is
-- a numeric, which takes several times as long.
deployed as (
    select
        service,
        dora.utc_day(triggered_at) as day,
        sum(times)::int as deployments,
        coalesce(sum(times) filter (where is_change_failure), 0)::int as change_failures
    from outcomes
    group by service, dora.utc_day(triggered_at)
),

opened as (
    select
        service,
        dora.utc_day(opened_at) as day,
        sum(times)::int as incidents,
        coalesce(sum(times) filter (where recovered_at is null), 0)::int as open_incidents,
        -- An incident counts once, whatever services it hit.
        coalesce(sum(times) filter (where is_first), 0)::int as all_incidents,
        coalesce(sum(times) filter (where is_first and recovered_at is null), 0)::int as all_open_incidents
    from fact_changes
    group by service, dora.utc_day(opened_at)
),

recovered as (
    select
        service,
        dora.utc_day(recovered_at) as day,
        sum(times)::int as recovered_incidents,
        coalesce(sum(times) filter (where is_first), 0)::int as all_recovered_incidents
    from fact_changes
    where recovered_at is not null
    group by service, dora.utc_day(recovered_at)
),

by_day as (
    select service, day, deployments, change_failures, 0 as incidents, 0 as open_incidents, 0 as recovered_incidents
    from deployed
    union all
    select '' as service, day, deployments, change_failures, 0, 0, 0 from deployed
    where service <> ''
    union all
    select service, day, 0, 0, incidents, open_incidents, 0 from opened
    where service <> ''
    union all
    select '' as service, day, 0, 0, all_incidents, all_open_incidents, 0 from opened
    union all
    select service, day, 0, 0, 0, 0, recovered_incidents from recovered
    where service <> ''
    union all
    select '' as service, day, 0, 0, 0, 0, all_recovered_incidents from recovered
),

each_day as (
    select
        service,
        day,
        sum(deployments)::int as deployments,
        sum(change_failures)::int as change_failures,
        sum(incidents)::int as incidents,
        sum(open_incidents)::int as open_incidents,
        sum(recovered_incidents)::int as recovered_incidents
    from by_day
    group by service, day
)

select
    period.grain,
    period.period_start,
    each_day.service,
    sum(each_day.deployments) as deployments,
    sum(each_day.change_failures) as change_failures,
    sum(each_day.incidents) as incidents,
    sum(each_day.open_incidents) as open_incidents,
    sum(each_day.recovered_incidents) as recovered_incidents
from each_day
cross join lateral dora.periods_of(each_day.day) as period
group by period.grain, period.period_start, each_day.service;

analyze count_changes;
