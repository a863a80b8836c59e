-- dora.incident_attribution: one row per incident and service. The eligible deployment of the service with the
-- smallest distance in time within the window, both ends included; of two equally far the one before the
-- incident, of two at the same instant the smaller (source, deployment_id). An override wins.

-- What the touched incidents counted as before.
create temporary table stored_facts on commit drop as
select fact.*
from touched_incidents
inner join dora.incident_facts as fact using (source, account, incident_id);

analyze stored_facts;

create temporary table new_attribution on commit drop as
with
-- Which services an incident hit is another matter only for those that changed.
wanted as materialized (
    select * from new_incident_services
    union all
    select
        fact.source,
        fact.account,
        fact.incident_id,
        fact.service,
        fact.opened_at,
        fact.is_mapped
    from stored_facts as fact
    where
        not exists (
            select from changed_incidents as changed
            where
                changed.source = fact.source
                and changed.account = fact.account
                and changed.incident_id = fact.incident_id
        )
        and not (select refresh.is_full from dora.current_refresh as refresh)
),

-- Each service's deployments as one ordered array of instants, and where each is stored. Searching an array
-- (width_bucket is a binary search) costs a fraction of an index probe, tells the number of candidates from two
-- positions however many there are, and leaves the planner no way to choose a sort for each incident. A tuple's
-- address is good for as long as this statement's snapshot, and has a fixed width, so that an element is found
-- without reading those before it.
calendars as materialized (
    select
        service,
        array_agg(triggered_at) as instants,
        array_agg(place) as places
    from (
        select
            service,
            triggered_at,
            ctid as place
        from dora.eligible_deployments
        where service in (select service from wanted)
        order by service, triggered_at, deployment_source collate "C", deployment_id collate "C"
    ) as in_order
    group by service
),

-- How many deployments lie before the window, up to the opening, and up to the window's end. An instant is a
-- whole number of microseconds: up to one microsecond before the window is before it.
counted as (
    select
        wanted.source,
        wanted.account,
        wanted.incident_id,
        wanted.service,
        wanted.opened_at,
        wanted.is_mapped,
        counts.up_to_end - counts.passed_over as candidate_count,
        case
            when counts.up_to_end = counts.passed_over then null
            when counts.up_to_opening = counts.passed_over then calendar.places[counts.up_to_opening + 1]
            when
                counts.up_to_end = counts.up_to_opening
                or wanted.opened_at - calendar.instants[counts.up_to_opening]
                <= calendar.instants[counts.up_to_opening + 1] - wanted.opened_at
                -- The first of those at the instant of the last one before the opening.
                then calendar.places[
                    width_bucket(
                        calendar.instants[counts.up_to_opening] - interval '1 microsecond', calendar.instants
                    ) + 1
                ]
            else calendar.places[counts.up_to_opening + 1]
        end as nearest
    from wanted
    cross join dora.current_refresh as refresh
    left join calendars as calendar on wanted.service = calendar.service and wanted.service <> ''
    cross join lateral (
        select
            width_bucket(
                wanted.opened_at - refresh.reach_before - interval '1 microsecond', calendar.instants
            ) as passed_over,
            width_bucket(wanted.opened_at, calendar.instants) as up_to_opening,
            width_bucket(wanted.opened_at + refresh.reach_after, calendar.instants) as up_to_end
        -- Once per incident, not once per use.
        offset 0
    ) as counts
),

-- Two ways to write a service may name the same row: the first stands.
overrides as (
    select distinct on (wanted.source, wanted.account, wanted.incident_id, wanted.service)
        wanted.source,
        wanted.account,
        wanted.incident_id,
        wanted.service,
        override.deployment_source,
        override.deployment_id,
        deployment.triggered_at
    from dora.attribution_overrides as override
    inner join wanted
        on
            override.source = wanted.source
            and override.account = wanted.account
            and override.incident_id = wanted.incident_id
            and wanted.service in (override.service, coalesce(dora.service_key(override.service), ''))
    left join staging.deployments as deployment
        on override.deployment_source = deployment.source and override.deployment_id = deployment.deployment_id
    order by
        wanted.source, wanted.account, wanted.incident_id, wanted.service, override.service collate "C"
)

select
    counted.source,
    counted.account,
    counted.incident_id,
    counted.service,
    counted.opened_at,
    counted.is_mapped,
    case
        when override.service is not null then 'overridden'
        when counted.service = '' then 'no_service'
        when counted.nearest is not null then 'matched'
        when counted.is_mapped or known.service is not null then 'no_deployment_in_window'
        else 'service_unmapped'
    end as match_status,
    case when override.service is null then eligible.deployment_source else override.deployment_source end
        as deployment_source,
    case when override.service is null then eligible.deployment_id else override.deployment_id end
        as deployment_id,
    extract(
        epoch from counted.opened_at
        - case when override.service is null then eligible.triggered_at else override.triggered_at end
    )::double precision as offset_seconds,
    coalesce(counted.candidate_count, 0)::bigint as candidate_count
from counted
left join lateral (
    select * from dora.eligible_deployments
    where eligible_deployments.ctid = counted.nearest
    -- By its address, one by one: joined as a whole, all deployments would be read for a few incidents.
    offset 0
) as eligible on true
left join dora.deployed_services as known on counted.service = known.service
left join overrides as override
    on
        counted.source = override.source
        and counted.account = override.account
        and counted.incident_id = override.incident_id
        and counted.service = override.service;

analyze new_attribution;

create temporary table stored_attribution on commit drop as
select stored.*
from touched_incidents
inner join dora.incident_attribution as stored using (source, account, incident_id);

analyze stored_attribution;

delete from dora.incident_attribution as attribution
using (
    select source, account, incident_id, service from stored_attribution
    except
    select source, account, incident_id, service from new_attribution
) as gone
where
    attribution.source = gone.source
    and attribution.account = gone.account
    and attribution.incident_id = gone.incident_id
    and attribution.service = gone.service;

insert into dora.incident_attribution (
    source, account, incident_id, service, match_status, deployment_source, deployment_id, offset_seconds,
    candidate_count
)
select computed.*
from (
    select
        source,
        account,
        incident_id,
        service,
        match_status,
        deployment_source,
        deployment_id,
        offset_seconds,
        candidate_count
    from new_attribution
) as computed
left join stored_attribution as stored using (source, account, incident_id, service)
where stored.* is distinct from computed.*
order by computed.incident_id, computed.account, computed.source, computed.service
on conflict (incident_id, account, source, service) do update set
match_status = excluded.match_status,
deployment_source = excluded.deployment_source,
deployment_id = excluded.deployment_id,
offset_seconds = excluded.offset_seconds,
candidate_count = excluded.candidate_count;

-- The incidents that something but a number of candidates may be different about: those that changed, and those with
-- another match. In a full refresh, all.
create temporary table differing_incidents on commit drop as
select source, account, incident_id from changed_incidents
union
select source, account, incident_id
from new_attribution as computed
full outer join stored_attribution as stored using (source, account, incident_id, service)
where
    (stored.match_status, stored.deployment_source, stored.deployment_id, stored.offset_seconds)
    is distinct from
    (computed.match_status, computed.deployment_source, computed.deployment_id, computed.offset_seconds)
    and not (select refresh.is_full from dora.current_refresh as refresh);

analyze differing_incidents;
