-- Every incident has its attribution rows, and nothing else has. Returns incidents without any, rows without an
-- incident, and incidents that have both a service and none.
select
    source,
    account,
    incident_id,
    case
        when attribution.incident_id is null then 'no attribution'
        when incident.incident_id is null then 'no incident'
        else 'services and none'
    end as problem
from dora.incidents as incident
full outer join (
    select
        source,
        account,
        incident_id,
        count(*) as services,
        count(*) filter (where service = '') as blanks
    from dora.incident_attribution
    group by source, account, incident_id
) as attribution using (source, account, incident_id)
where
    attribution.incident_id is null
    or incident.incident_id is null
    or (attribution.blanks > 0 and attribution.services > 1)
