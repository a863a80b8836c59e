-- Views for people.

create view dora.service_metrics as
select
    grain,
    period_start,
    service,
    deployments,
    change_failures,
    change_failure_rate,
    incidents,
    recovered_incidents,
    open_incidents,
    mttr_mean_seconds,
    mttr_median_seconds,
    mttr_p90_seconds,
    mttr_all_mean_seconds,
    mttr_all_median_seconds
from dora.metrics
where service <> '';

comment on view dora.service_metrics is 'dora.metrics by service.';
comment on column dora.service_metrics.grain is 'As in dora.metrics.';
comment on column dora.service_metrics.period_start is 'As in dora.metrics.';
comment on column dora.service_metrics.service is 'As in dora.metrics.';
comment on column dora.service_metrics.deployments is 'As in dora.metrics.';
comment on column dora.service_metrics.change_failures is 'As in dora.metrics.';
comment on column dora.service_metrics.change_failure_rate is 'As in dora.metrics.';
comment on column dora.service_metrics.incidents is 'As in dora.metrics.';
comment on column dora.service_metrics.recovered_incidents is 'As in dora.metrics.';
comment on column dora.service_metrics.open_incidents is 'As in dora.metrics.';
comment on column dora.service_metrics.mttr_mean_seconds is 'As in dora.metrics.';
comment on column dora.service_metrics.mttr_median_seconds is 'As in dora.metrics.';
comment on column dora.service_metrics.mttr_p90_seconds is 'As in dora.metrics.';
comment on column dora.service_metrics.mttr_all_mean_seconds is 'As in dora.metrics.';
comment on column dora.service_metrics.mttr_all_median_seconds is 'As in dora.metrics.';

create view dora.overall_metrics as
select
    grain,
    period_start,
    deployments,
    change_failures,
    change_failure_rate,
    incidents,
    recovered_incidents,
    open_incidents,
    mttr_mean_seconds,
    mttr_median_seconds,
    mttr_p90_seconds,
    mttr_all_mean_seconds,
    mttr_all_median_seconds
from dora.metrics
where service = '';

comment on view dora.overall_metrics is 'dora.metrics of all services together.';
comment on column dora.overall_metrics.grain is 'As in dora.metrics.';
comment on column dora.overall_metrics.period_start is 'As in dora.metrics.';
comment on column dora.overall_metrics.deployments is 'As in dora.metrics.';
comment on column dora.overall_metrics.change_failures is 'As in dora.metrics.';
comment on column dora.overall_metrics.change_failure_rate is 'As in dora.metrics.';
comment on column dora.overall_metrics.incidents is 'As in dora.metrics.';
comment on column dora.overall_metrics.recovered_incidents is 'As in dora.metrics.';
comment on column dora.overall_metrics.open_incidents is 'As in dora.metrics.';
comment on column dora.overall_metrics.mttr_mean_seconds is 'As in dora.metrics.';
comment on column dora.overall_metrics.mttr_median_seconds is 'As in dora.metrics.';
comment on column dora.overall_metrics.mttr_p90_seconds is 'As in dora.metrics.';
comment on column dora.overall_metrics.mttr_all_mean_seconds is 'As in dora.metrics.';
comment on column dora.overall_metrics.mttr_all_median_seconds is 'As in dora.metrics.';

-- Staging has the deployment: an override may name one that is not eligible. PagerDuty's accounts have no teams here;
-- their services meet OpsGenie's by name.
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
        and (service.account = incident.account or incident.source = 'pagerduty')
        and schedule.enabled is not false
        and period.start_at <= incident.opened_at
        and period.end_at > incident.opened_at
        -- Not what another backend says of the same time.
        and not exists (
            select from staging.opsgenie_backend_spans as said
            where
                said.account = period.account
                and said.backend = period.backend
                and not said.span @> incident.opened_at
        )
) as team on true;

comment on view dora.incident_history is
'One row per incident and service: its deployment, that deployment''s pull request, and who was on call for the '
'service''s team.';
comment on column dora.incident_history.source is 'As in dora.incidents.';
comment on column dora.incident_history.account is 'As in dora.incidents.';
comment on column dora.incident_history.incident_id is 'As in dora.incidents.';
comment on column dora.incident_history.title is 'As in dora.incidents.';
comment on column dora.incident_history.status is 'As in dora.incidents.';
comment on column dora.incident_history.priority is 'As in dora.incidents.';
comment on column dora.incident_history.opened_at is 'As in dora.incidents.';
comment on column dora.incident_history.acknowledged_at is 'As in dora.incidents.';
comment on column dora.incident_history.recovered_at is 'As in dora.incidents.';
comment on column dora.incident_history.closed_at is 'As in dora.incidents.';
comment on column dora.incident_history.seconds_to_recover is 'As in dora.incidents.';
comment on column dora.incident_history.web_url is 'As in dora.incidents.';
comment on column dora.incident_history.service is 'The service''s name in dora; '''' where the incident has none.';
comment on column dora.incident_history.deployment_id is 'The deployment that it is attributed to; null without one.';
comment on column dora.incident_history.triggered_at is 'When that was triggered.';
comment on column dora.incident_history.offset_seconds is 'As in dora.incident_attribution.';
comment on column dora.incident_history.repository is 'As in staging.deployments.';
comment on column dora.incident_history.commit_sha is 'As in staging.deployments.';
comment on column dora.incident_history.pr_number is 'As in staging.deployments.';
comment on column dora.incident_history.pr_url is 'As in staging.deployments.';
comment on column dora.incident_history.pr_title is 'As in staging.deployments.';
comment on column dora.incident_history.on_call is
'Names of those on call for the service''s team when it opened, as the backend says that was read at the time.';

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
where
    period.start_at <= now()
    and period.end_at > now()
    and schedule.enabled is not false
    -- Not of a backend that the account is not read from any more.
    and not exists (
        select from staging.opsgenie_backend_spans as said
        where said.account = period.account and said.backend = period.backend and not upper_inf(said.span)
    );

comment on view dora.on_call_now is
'One row per rotation and recipient on call at this moment, of schedules that are enabled, as the backend says that '
'the account was read from last.';
comment on column dora.on_call_now.account is 'The account''s connection id.';
comment on column dora.on_call_now.team is 'Name of the schedule''s team.';
comment on column dora.on_call_now.schedule is 'Name of the schedule.';
comment on column dora.on_call_now.rotation is 'Name of the rotation.';
comment on column dora.on_call_now.recipient_name is 'Who is on call.';
comment on column dora.on_call_now.start_at is 'Since when.';
comment on column dora.on_call_now.end_at is 'Until when.';
