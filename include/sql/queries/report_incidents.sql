-- The incidents that opened between two instants, one row for each of their services, the newest first.
with
page as (
    select
        source,
        account,
        incident_id,
        service,
        opened_at,
        match_status,
        deployment_source,
        deployment_id,
        offset_seconds
    from dora.incident_attribution
    where opened_at >= %(since)s and opened_at < %(until)s
    order by opened_at desc, incident_id asc, account asc, source asc, service asc
    limit %(limit)s
)

select
    page.opened_at,
    page.service,
    page.match_status,
    page.deployment_id,
    page.offset_seconds,
    incident.title,
    incident.incident_id,
    incident.priority,
    incident.status,
    incident.seconds_to_recover,
    incident.web_url,
    deployment.pr_number,
    deployment.pr_title,
    deployment.pr_url
from page
inner join dora.incidents as incident using (source, account, incident_id)
left join staging.deployments as deployment
    on page.deployment_source = deployment.source and page.deployment_id = deployment.deployment_id
order by page.opened_at desc, page.incident_id asc, page.account asc, page.source asc, page.service asc
