-- What another rule would say

-- One row per service ('' is all services together), window of 1, 2, 4 and 8 hours and direction: the change failure
-- rate of the deployments triggered from since up to until, and what became of the incidents opened in that time. What
-- people have decided stays decided. Reads only.
create function dora.what_if(since timestamptz, until timestamptz)
returns table (
    service text,
    window_hours integer,
    direction text,
    deployments bigint,
    change_failures bigint,
    change_failure_rate double precision,
    matched_share double precision,
    matched_following bigint,
    matched_preceding bigint,
    caused_share double precision,
    caused_share_low double precision,
    caused_share_high double precision
)
language sql stable parallel safe
begin atomic
with
-- Incidents and deployments on one time line, which is read once in each direction; at one instant the deployments
-- come first. A deployment may be hit by an incident from outside of the time, up to the longest window away.
events as (
    select
        attribution.service collate "C" as service,
        attribution.opened_at as happened_at,
        true as is_incident,
        attribution.opened_at >= since and attribution.opened_at < until as is_counted
    from dora.incident_attribution as attribution
    where
        attribution.match_status in ('matched', 'no_deployment_in_window')
        and attribution.opened_at >= since - interval '8 hours'
        and attribution.opened_at < until + interval '8 hours'
    union all
    select
        outcome.service collate "C" as service,
        outcome.triggered_at as happened_at,
        false as is_incident,
        false as is_counted
    from dora.deployment_outcomes as outcome
    where
        outcome.triggered_at >= since - interval '16 hours'
        and outcome.triggered_at < until + interval '16 hours'
),

located as (
    select
        events.*,
        max(happened_at) filter (where not is_incident)
            over (partition by service order by happened_at, is_incident rows unbounded preceding)
            as earlier_at,
        min(happened_at) filter (where not is_incident)
            over (partition by service order by happened_at desc, is_incident desc rows unbounded preceding)
            as later_at
    from events
),

incidents as materialized (
    select
        service,
        is_counted,
        earlier_at,
        later_at,
        happened_at - earlier_at as after_earlier,
        later_at - happened_at as before_later
    from located
    where is_incident
),

-- A tie goes to the deployment before the incident.
nearest as (
    select
        service,
        is_counted,
        'both' as direction,
        after_earlier is not null and (before_later is null or after_earlier <= before_later) as is_following,
        case
            when after_earlier is not null and (before_later is null or after_earlier <= before_later) then earlier_at
            else later_at
        end as triggered_at,
        least(after_earlier, before_later) as distance
    from incidents
    union all
    select
        service,
        is_counted,
        'before_only' as direction,
        true as is_following,
        earlier_at as triggered_at,
        after_earlier as distance
    from incidents
),

-- The shortest window in which it matches; none where no window is long enough.
matches as (
    select
        service,
        is_counted,
        direction,
        is_following,
        triggered_at,
        case
            when distance <= interval '1 hour' then 1
            when distance <= interval '2 hours' then 2
            when distance <= interval '4 hours' then 4
            when distance <= interval '8 hours' then 8
        end as window_hours
    from nearest
),

-- A matched deployment is the first of its service at its instant, so that the instant names it.
failed as (
    select
        service,
        direction,
        triggered_at,
        '' as other,
        window_hours
    from matches
    where window_hours is not null and triggered_at >= since and triggered_at < until
    union all
    select
        outcome.service,
        rule.direction,
        outcome.triggered_at,
        case
            when exists (
                select from dora.eligible_deployments as twin
                where
                    twin.service = outcome.service
                    and twin.triggered_at = outcome.triggered_at
                    and (twin.deployment_source collate "C", twin.deployment_id collate "C")
                    < (outcome.deployment_source collate "C", outcome.deployment_id collate "C")
            ) then outcome.deployment_source || ' ' || outcome.deployment_id
            else ''
        end as other,
        0 as window_hours
    from dora.incident_attribution as attribution
    inner join dora.deployment_outcomes as outcome using (deployment_source, deployment_id)
    cross join (values ('both'), ('before_only')) as rule (direction)
    where
        attribution.match_status = 'overridden'
        and outcome.triggered_at >= since
        and outcome.triggered_at < until
),

failures as (
    select
        service,
        direction,
        triggered_at,
        other,
        min(window_hours) as window_hours
    from failed
    group by service, direction, triggered_at, other
),

counts as (
    select
        service,
        direction,
        window_hours,
        count(*) as change_failures,
        0 as incidents,
        0 as matched_following,
        0 as matched_preceding
    from failures
    group by service, direction, window_hours
    union all
    select
        service,
        direction,
        window_hours,
        0 as change_failures,
        count(*) as incidents,
        count(*) filter (where window_hours is not null and is_following) as matched_following,
        count(*) filter (where window_hours is not null and not is_following) as matched_preceding
    from matches
    where is_counted
    group by service, direction, window_hours
),

deployed as (
    select
        outcome.service,
        count(*) as deployments
    from dora.deployment_outcomes as outcome
    where outcome.triggered_at >= since and outcome.triggered_at < until
    group by outcome.service
),

rules as (
    select
        window_hours,
        direction
    from (values (1), (2), (4), (8)) as windows (window_hours)
    cross join (values ('both'), ('before_only')) as directions (direction)
),

by_rule as (
    select
        counts.service,
        rules.window_hours,
        rules.direction,
        0 as deployments,
        sum(counts.change_failures) filter (where counts.window_hours <= rules.window_hours) as change_failures,
        sum(counts.incidents) as incidents,
        sum(counts.matched_following) filter (where counts.window_hours <= rules.window_hours) as matched_following,
        sum(counts.matched_preceding) filter (where counts.window_hours <= rules.window_hours) as matched_preceding
    from counts
    inner join rules using (direction)
    group by counts.service, rules.window_hours, rules.direction
    union all
    select
        deployed.service,
        rules.window_hours,
        rules.direction,
        deployed.deployments,
        0 as change_failures,
        0 as incidents,
        0 as matched_following,
        0 as matched_preceding
    from deployed
    cross join rules
),

totals as (
    select
        coalesce(by_rule.service, '') as service,
        by_rule.window_hours,
        by_rule.direction,
        sum(by_rule.deployments)::bigint as deployments,
        coalesce(sum(by_rule.change_failures), 0)::bigint as change_failures,
        sum(by_rule.incidents)::bigint as incidents,
        coalesce(sum(by_rule.matched_following), 0)::bigint as matched_following,
        coalesce(sum(by_rule.matched_preceding), 0)::bigint as matched_preceding
    from by_rule
    group by grouping sets (
        (by_rule.service, by_rule.window_hours, by_rule.direction), (by_rule.window_hours, by_rule.direction)
    )
    having grouping(by_rule.service) = 1 or by_rule.service <> ''
)

select
    totals.service,
    totals.window_hours,
    totals.direction,
    totals.deployments,
    totals.change_failures,
    totals.change_failures::double precision / nullif(totals.deployments, 0) as change_failure_rate,
    (totals.matched_following + totals.matched_preceding)::double precision / nullif(totals.incidents, 0)
        as matched_share,
    totals.matched_following,
    totals.matched_preceding,
    caused.caused_share,
    caused.caused_share_low,
    caused.caused_share_high
from totals
left join lateral dora.caused_share(totals.matched_following, totals.matched_preceding) as caused
    on totals.direction = 'both'
order by totals.service, totals.direction, totals.window_hours;
end;

comment on function dora.what_if is
'What the change failure rate, the matches and the caused share of the deployments and incidents from one instant up '
'to another would be with windows of 1, 2, 4 and 8 hours on each side, and before the incident only.';
