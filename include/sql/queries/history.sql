-- A page of the incident history: the rows that the filters let through, beyond the last page's end.
with
page as (
    select
        attribution.opened_at,
        attribution.incident_id,
        attribution.account,
        attribution.source,
        attribution.service
    from dora.incident_attribution as attribution
    where {filters}
    order by
        attribution.opened_at {direction},
        attribution.incident_id {direction},
        attribution.account {direction},
        attribution.source {direction},
        attribution.service {direction}
    limit %(limit)s
)

select
    history.*,
    deployment.url as deployment_url,
    override.service is not null as has_override,
    override.reason as override_reason,
    override.decided_by
from page
inner join dora.incident_history as history using (source, account, incident_id, service)
left join staging.deployments as deployment
    on history.deployment_source = deployment.source and history.deployment_id = deployment.deployment_id
left join dora.effective_overrides as override
    on
        page.source = override.source
        and page.account = override.account
        and page.incident_id = override.incident_id
        and override.service in (page.service, dora.service_key(page.service))
order by
    page.opened_at {direction},
    page.incident_id {direction},
    page.account {direction},
    page.source {direction},
    page.service {direction}
