-- dora.match_quality: one row per service that has incidents or eligible deployments; how much its matches are
-- worth: how many incidents would match by chance, as deployments are that frequent.

-- From the earliest to the latest of all openings and eligible deployments; kept with the refresh, for where it
-- moved, every service's rates did.
update dora.refreshes as stored
set span_start = span.starts, span_end = span.ends
from (
    select
        least(
            (select min(opened_at) from dora.incident_facts), (select min(triggered_at) from dora.deployment_outcomes)
        ) as starts,
        greatest(
            (select max(opened_at) from dora.incident_facts), (select max(triggered_at) from dora.deployment_outcomes)
        ) as ends
) as span
where stored.refresh_id = (select refresh.refresh_id from dora.current_refresh as refresh);

create temporary table touched_services on commit drop as
with
latest as (
    select
        refresh_id,
        is_full,
        (span_start, span_end) is not distinct from (
            lag(span_start) over (order by refresh_id), lag(span_end) over (order by refresh_id)
        ) as is_same_span
    from dora.refreshes
    order by refresh_id desc
    limit 1
)

select service from fact_changes
union
select service from old_places
union
select service from new_places
union
select service from dora.match_quality
where (select latest.is_full or not latest.is_same_span from latest);

analyze touched_services;

create temporary table new_match_quality on commit drop as
with
span as (
    select
        stored.span_start,
        stored.span_end,
        nullif(extract(epoch from stored.span_end - stored.span_start), 0)::double precision as seconds,
        refresh.reach_before,
        refresh.reach_after
    from dora.current_refresh as refresh
    inner join dora.refreshes as stored using (refresh_id)
),

calendars as (
    select
        service,
        array_agg(triggered_at) as instants
    from (
        select
            eligible.service,
            eligible.triggered_at
        from dora.eligible_deployments as eligible
        where eligible.service in (select touched.service from touched_services as touched)
        order by eligible.service, eligible.triggered_at
    ) as in_order
    group by service
),

-- A deployment is within the window of the incidents that open from reach_after before it to reach_before
-- after it. All these stretches are equally long, so each can only overlap with the next one.
deployed as (
    select
        calendars.service,
        cardinality(calendars.instants)::bigint as deployments,
        covered.seconds as covered_seconds
    from calendars
    cross join span
    cross join lateral (
        select
            extract(
                epoch from sum(
                    greatest(
                        -- Before the span's start, where its end and the next one's start are, too.
                        interval '0',
                        least(triggered_at + span.reach_before, next_at - span.reach_after, span.span_end)
                        - greatest(triggered_at - span.reach_after, span.span_start)
                    )
                )
            ) as seconds
        from unnest(calendars.instants, calendars.instants[2:]) as stretch (triggered_at, next_at)
    ) as covered
),

matches as (
    select
        service,
        coalesce(sum(incidents) filter (where match_status = 'matched'), 0) as matched,
        sum(incidents) filter (where match_status in ('matched', 'no_deployment_in_window')) as matchable
    from dora.match_counts
    where service in (select touched.service from touched_services as touched)
    group by service
)

select
    service,
    coalesce(deployed.deployments, 0) * 86400 / span.seconds as deployments_per_day,
    matches.matched::double precision / nullif(matches.matchable, 0) as matched_share,
    coalesce(deployed.covered_seconds, 0)::double precision / span.seconds as expected_chance_match_rate
from deployed
full outer join matches using (service)
cross join span
where service <> '';

delete from dora.match_quality as stored
where
    stored.service in (select touched.service from touched_services as touched)
    and not exists (select from new_match_quality as computed where computed.service = stored.service);

insert into dora.match_quality (service, deployments_per_day, matched_share, expected_chance_match_rate)
select computed.*
from new_match_quality as computed
left join dora.match_quality as stored using (service)
where stored.* is distinct from computed.*
order by computed.service
on conflict (service) do update set
deployments_per_day = excluded.deployments_per_day,
matched_share = excluded.matched_share,
expected_chance_match_rate = excluded.expected_chance_match_rate;
