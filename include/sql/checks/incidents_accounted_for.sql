-- Every incident has its attribution rows, and nothing else has. Returns incidents without any, rows without an
-- incident, and incidents that have both a service and none.
select
    source,
    account,
    incident_id,
    'no attribution' as problem
from touched_incidents
inner join dora.incidents as incident using (source, account, incident_id)
where
    not exists (
        select from dora.incident_attribution as attribution
        where
            attribution.source = incident.source
            and attribution.account = incident.account
            and attribution.incident_id = incident.incident_id
    )
union all
select
    source,
    account,
    incident_id,
    'no incident' as problem
from touched_incidents
inner join dora.incident_attribution as attribution using (source, account, incident_id)
where
    not exists (
        select from dora.incidents as incident
        where
            attribution.source = incident.source
            and attribution.account = incident.account
            and attribution.incident_id = incident.incident_id
    )
union all
select
    source,
    account,
    incident_id,
    'services and none' as problem
from touched_incidents
inner join dora.incident_attribution as attribution using (source, account, incident_id)
where
    attribution.service = ''
    and exists (
        select from dora.incident_attribution as other
        where
            attribution.source = other.source
            and attribution.account = other.account
            and attribution.incident_id = other.incident_id
            and other.service <> ''
    )
