-- One incident and service, as it is attributed, and the override that there is.
select
    incident.source,
    incident.account,
    incident.incident_id,
    incident.title,
    incident.opened_at,
    attribution.service,
    attribution.match_status,
    attribution.deployment_source,
    attribution.deployment_id,
    attribution.offset_seconds,
    override.service is not null as has_override,
    override.reason,
    override.decided_by,
    override.decided_at
from dora.incidents as incident
inner join dora.incident_attribution as attribution using (source, account, incident_id)
left join dora.effective_overrides as override
    on
        attribution.source = override.source
        and attribution.account = override.account
        and attribution.incident_id = override.incident_id
        and override.service in (attribution.service, dora.service_key(attribution.service))
where
    incident.incident_id = %(incident_id)s
    and incident.account = %(account)s
    and incident.source = %(source)s
    and attribution.service in (%(service)s, coalesce(dora.service_key(%(service)s), ''))
order by attribution.service <> %(service)s
limit 1
