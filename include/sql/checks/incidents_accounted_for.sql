-- Every incident has its attribution rows, and nothing else has. Returns incidents without any, rows without an
-- incident, and incidents that have both a service and none.
select
    source,
    account,
    incident_id,
    case
        when attribution.incident_id is null then 'no attribution'
        else 'no incident'
    end as problem
from dora.incidents as incident
full outer join dora.incident_attribution as attribution using (incident_id, account, source)
where attribution.incident_id is null or incident.incident_id is null
union all
select
    blank.source,
    blank.account,
    blank.incident_id,
    'services and none' as problem
from dora.incident_attribution as blank
where
    blank.service = ''
    and exists (
        select from dora.incident_attribution as named
        where
            named.incident_id = blank.incident_id
            and named.account = blank.account
            and named.source = blank.source
            and named.service <> ''
    )
