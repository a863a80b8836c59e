-- One incident and service, as it is attributed, and the override that there is.
select
    incident.source,
    incident.account,
    incident.incident_id,
    incident.title,
    incident.status,
    incident.priority,
    incident.opened_at,
    incident.recovered_at,
    incident.seconds_to_recover,
    incident.web_url,
    attribution.service,
    attribution.match_status,
    attribution.deployment_source,
    attribution.deployment_id,
    attribution.offset_seconds,
    override.service is not null as has_override,
    override.deployment_source as override_source,
    override.deployment_id as override_deployment,
    override.reason,
    override.decided_by,
    override.decided_at
from dora.incidents as incident
inner join dora.incident_attribution as attribution using (source, account, incident_id)
left join lateral (
    -- Of two ways to spell the service, the first counts, as in the attribution.
    select *
    from dora.attribution_overrides as written
    where
        written.source = attribution.source
        and written.account = attribution.account
        and written.incident_id = attribution.incident_id
        and attribution.service in (written.service, coalesce(dora.service_key(written.service), ''))
    order by written.service collate "C"
    limit 1
) as override on true
where
    incident.incident_id = %(incident_id)s
    and incident.account = %(account)s
    and incident.source = %(source)s
    and attribution.service in (%(service)s, coalesce(dora.service_key(%(service)s), ''))
order by attribution.service <> %(service)s
limit 1
