-- A page of the incident history: the rows that the filters let through, beyond the last page's end.
with
page as (
    select
        fact.opened_at,
        fact.incident_id,
        fact.account,
        fact.source,
        fact.service,
        fact.match_status,
        fact.deployment_source
    from dora.incident_attribution as fact
    where {filters}
    order by
        fact.opened_at {direction},
        fact.incident_id {direction},
        fact.account {direction},
        fact.source {direction},
        fact.service {direction}
    limit %(limit)s
)

select
    history.*,
    page.match_status,
    page.deployment_source,
    deployment.url as deployment_url,
    override.service is not null as has_override,
    override.reason as override_reason,
    override.decided_by
from page
inner join dora.incident_history as history using (source, account, incident_id, service)
left join staging.deployments as deployment
    on page.deployment_source = deployment.source and history.deployment_id = deployment.deployment_id
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
