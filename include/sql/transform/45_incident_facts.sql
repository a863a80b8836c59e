-- dora.incident_facts: one row per incident and service, with everything that metrics count and the incident
-- history is searched by, so that neither needs a join.

create temporary table new_facts on commit drop as
with
-- An incident that did not change itself is as it was.
incidents as (
    select
        source,
        account,
        incident_id,
        recovered_at,
        seconds_to_recover,
        status,
        priority
    from new_incidents
    union all
    select
        stored.source,
        stored.account,
        stored.incident_id,
        stored.recovered_at,
        stored.seconds_to_recover,
        stored.status,
        stored.priority
    from stored_facts as stored
    where
        stored.is_first
        and not exists (
            select from changed_incidents as changed
            where
                changed.source = stored.source
                and changed.account = stored.account
                and changed.incident_id = stored.incident_id
        )
        and not (select refresh.is_full from dora.current_refresh as refresh)
)

select
    attribution.source,
    attribution.account,
    attribution.incident_id,
    attribution.service,
    attribution.opened_at,
    incident.recovered_at,
    incident.seconds_to_recover,
    incident.status,
    incident.priority,
    attribution.is_mapped,
    attribution.match_status,
    attribution.deployment_source,
    attribution.deployment_id,
    row_number() over of_incident = 1 as is_first,
    count(attribution.deployment_id) over of_incident_whole > 0 as is_incident_attributed
from differing_incidents
inner join new_attribution as attribution using (source, account, incident_id)
inner join incidents as incident using (source, account, incident_id)
window
of_incident_whole as (partition by attribution.incident_id, attribution.account, attribution.source),
of_incident as (of_incident_whole order by attribution.service);

analyze new_facts;

create temporary table changed_facts on commit drop as
select computed.*
from new_facts as computed
left join stored_facts as stored using (incident_id, account, source, service)
where
    stored.service is null
    or (
        stored.opened_at,
        stored.recovered_at,
        stored.seconds_to_recover,
        stored.status,
        stored.priority,
        stored.is_mapped,
        stored.match_status,
        stored.deployment_source,
        stored.deployment_id,
        stored.is_first,
        stored.is_incident_attributed
    ) is distinct from (
        computed.opened_at,
        computed.recovered_at,
        computed.seconds_to_recover,
        computed.status,
        computed.priority,
        computed.is_mapped,
        computed.match_status,
        computed.deployment_source,
        computed.deployment_id,
        computed.is_first,
        computed.is_incident_attributed
    );

analyze changed_facts;

create temporary table gone_facts on commit drop as
select stored.*
from differing_incidents
inner join stored_facts as stored using (source, account, incident_id)
where
    not exists (
        select from new_facts as computed
        where
            computed.source = stored.source
            and computed.account = stored.account
            and computed.incident_id = stored.incident_id
            and computed.service = stored.service
    );

analyze gone_facts;

-- What the changed and the vanishing ones counted as before; a full refresh needs none.
create temporary table old_facts on commit drop as
select found.*
from (
    select stored.*
    from changed_facts as computed
    inner join stored_facts as stored using (incident_id, account, source, service)
    union all
    select * from gone_facts
) as found
where not (select refresh.is_full from dora.current_refresh as refresh);

analyze old_facts;

delete from dora.incident_facts as stored
using gone_facts as gone
where
    stored.source = gone.source
    and stored.account = gone.account
    and stored.incident_id = gone.incident_id
    and stored.service = gone.service;

insert into dora.incident_facts (
    source, account, incident_id, service, opened_at, recovered_at, seconds_to_recover, status, priority,
    is_mapped, match_status, deployment_source, deployment_id, is_first, is_incident_attributed
)
select * from changed_facts
order by incident_id, account, source, service
on conflict (incident_id, account, source, service) do update set
opened_at = excluded.opened_at,
recovered_at = excluded.recovered_at,
seconds_to_recover = excluded.seconds_to_recover,
status = excluded.status,
priority = excluded.priority,
is_mapped = excluded.is_mapped,
match_status = excluded.match_status,
deployment_source = excluded.deployment_source,
deployment_id = excluded.deployment_id,
is_first = excluded.is_first,
is_incident_attributed = excluded.is_incident_attributed;

-- What counts differently, and how often more: what counted before, and what counts now. In a full refresh
-- everything does.
create temporary table fact_changes on commit drop as
select
    -1 as times,
    source,
    account,
    incident_id,
    service,
    opened_at,
    recovered_at,
    seconds_to_recover,
    status,
    priority,
    is_mapped,
    match_status,
    deployment_source,
    deployment_id,
    is_first,
    is_incident_attributed
from old_facts
union all
select
    1 as times,
    changed_facts.*
from changed_facts
where not (select refresh.is_full from dora.current_refresh as refresh)
union all
select
    1 as times,
    new_facts.*
from new_facts
where (select refresh.is_full from dora.current_refresh as refresh);

analyze fact_changes;
