-- Every incident has its attribution rows, and nothing else has. Returns incidents without any, rows without an
-- incident, and incidents that have both a service and none.
with
attributed as (
    select
        attribution.source,
        attribution.account,
        attribution.incident_id,
        bool_or(attribution.service = '') and bool_or(attribution.service <> '') as has_both
    from touched_incidents
    inner join dora.incident_attribution as attribution using (source, account, incident_id)
    group by attribution.incident_id, attribution.account, attribution.source
),

known as (
    select
        incident.source,
        incident.account,
        incident.incident_id
    from touched_incidents
    inner join dora.incidents as incident using (source, account, incident_id)
)

select
    source,
    account,
    incident_id,
    case
        when attributed.incident_id is null then 'no attribution'
        when known.incident_id is null then 'no incident'
        else 'services and none'
    end as problem
from known
full outer join attributed using (incident_id, account, source)
where known.incident_id is null or attributed.incident_id is null or attributed.has_both
