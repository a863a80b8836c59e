-- Which cells of the metrics to compute again: the periods and services in which something that counts changed.
-- A full refresh computes all of them and lists none.

-- One row per period and service, '' for what has none and so counts overall only.
create temporary table touched_cells on commit drop as
with
counted_before as (
    select
        source,
        account,
        incident_id,
        service,
        opened_at,
        recovered_at,
        seconds_to_recover,
        deployment_id is not null as is_attributed,
        is_first,
        is_incident_attributed
    from old_facts
),

counted_now as (
    select
        source,
        account,
        incident_id,
        service,
        opened_at,
        recovered_at,
        seconds_to_recover,
        deployment_id is not null as is_attributed,
        is_first,
        is_incident_attributed
    from changed_facts
    where not (select refresh.is_full from dora.current_refresh as refresh)
),

recounted as (
    (select * from counted_before except select * from counted_now)
    union all
    (select * from counted_now except select * from counted_before)
),

new_outcomes_here as (
    select * from new_outcomes
    where not (select refresh.is_full from dora.current_refresh as refresh)
),

changed_outcomes as (
    (select * from old_outcomes except select * from new_outcomes_here)
    union all
    (select * from new_outcomes_here except select * from old_outcomes)
),

moments as (
    select service, opened_at as instant from recounted
    union
    select service, recovered_at as instant from recounted
    where recovered_at is not null
    union
    select service, triggered_at as instant from changed_outcomes
)

select 'day' as grain, dora.utc_day(instant) as period_start, service from moments
union
select 'week' as grain, dora.utc_week(instant) as period_start, service from moments
union
select 'month' as grain, dora.utc_month(instant) as period_start, service from moments;

analyze touched_cells;

-- Between which instants the touched cells lie: what is outside need not be read.
create temporary table touched_span on commit drop as
select
    case when refresh.is_full then '-infinity' else cells.since at time zone 'utc' end as since,
    case when refresh.is_full then 'infinity' else cells.until at time zone 'utc' end as until
from dora.current_refresh as refresh
cross join (
    select
        min(period_start)::timestamp as since,
        max(
            period_start
            + case grain when 'day' then interval '1 day' when 'week' then interval '1 week' else interval '1 month' end
        ) as until
    from touched_cells
) as cells;

analyze touched_span;
