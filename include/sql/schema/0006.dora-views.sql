-- Views over the dora tables: the history of incidents, and who is on call.

-- One row per incident and service: the deployment it is attributed to, that deployment's pull request,
-- and who was on call for the service's team when it opened. Staging has the deployment, for an override may
-- name one that is not eligible.
create view dora.incident_history as
select
    incident.source,
    incident.account,
    incident.incident_id,
    incident.title,
    incident.status,
    incident.priority,
    incident.opened_at,
    incident.acknowledged_at,
    incident.recovered_at,
    incident.closed_at,
    incident.seconds_to_recover,
    incident.web_url,
    attribution.service,
    attribution.deployment_id,
    deployment.triggered_at,
    attribution.offset_seconds,
    deployment.repository,
    deployment.commit_sha,
    deployment.pr_number,
    deployment.pr_url,
    deployment.pr_title,
    team.on_call
from dora.incidents as incident
inner join dora.incident_attribution as attribution using (source, account, incident_id)
left join staging.deployments as deployment
    on
        attribution.deployment_source = deployment.source
        and attribution.deployment_id = deployment.deployment_id
left join lateral (
    select string_agg(distinct period.recipient_name, ', ' order by period.recipient_name) as on_call
    from staging.opsgenie_services as service
    left join dora.service_map as mapped using (account, service_id)
    inner join staging.opsgenie_schedules as schedule using (account, team_id)
    inner join staging.opsgenie_on_call_periods as period using (account, schedule_id)
    where
        coalesce(dora.service_key(mapped.service), dora.service_key(service.name), service.service_id)
        = attribution.service
        -- PagerDuty's accounts have no teams here; their services meet OpsGenie's by name.
        and (service.account = incident.account or incident.source = 'pagerduty')
        and period.start_at <= incident.opened_at
        and period.end_at > incident.opened_at
) as team on true;

-- One row per rotation and recipient on call at this moment.
create view dora.on_call_now as
select
    period.account,
    team.name as team,
    schedule.name as schedule,
    rotation.name as rotation,
    period.recipient_name,
    period.start_at,
    period.end_at
from staging.opsgenie_on_call_periods as period
left join staging.opsgenie_schedules as schedule using (account, schedule_id)
left join staging.opsgenie_rotations as rotation using (account, schedule_id, rotation_id)
left join staging.opsgenie_teams as team on period.account = team.account and schedule.team_id = team.team_id
where period.start_at <= now() and period.end_at > now();
