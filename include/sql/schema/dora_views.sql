-- Views for people.

-- Every column of dora.metrics but those that only dora.match_quality needs, so that a new metric is written in two
-- places: dora.metrics and include/sql/transform/metrics.sql.
do $$
declare
    metrics text := (
        select string_agg(quote_ident(attname), ', ' order by attnum)
        from pg_attribute
        where
            attrelid = 'dora.metrics'::regclass
            and attnum > 0
            and not attisdropped
            and attname not in ('grain', 'period_start', 'service', 'matched_following', 'matched_preceding', 'unmatched')
    );
begin
    execute 'create view dora.service_metrics as select grain, period_start, service, ' || metrics
        || ' from dora.metrics where service <> ''''';
    execute 'create view dora.overall_metrics as select grain, period_start, ' || metrics
        || ' from dora.metrics where service = ''''';
end
$$;

comment on view dora.service_metrics is
'One row per grain (UTC day, week from Monday, month), period and service in which anything counted.';
comment on view dora.overall_metrics is
'One row per grain (UTC day, week from Monday, month) and period in which anything counted, for all services together: '
'an incident counts once, whatever services it has.';

-- It joins staging.deployments because an override may name a deployment that is not eligible. PagerDuty has no teams
-- here: its services match OpsGenie's by name.
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
    team.on_call,
    attribution.match_status,
    attribution.deployment_source
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
        -- Each backend counts for the time in which the account was read from it.
        and not exists (
            select from staging.opsgenie_backend_spans as backend
            where
                backend.account = period.account
                and backend.backend = period.backend
                and not backend.span @> incident.opened_at
        )
) as team on true;

comment on view dora.incident_history is
'One row per incident and service: its deployment, that deployment''s pull request, and who was on call for the '
'service''s team.';
comment on column dora.incident_history.service is 'The service''s name in dora; '''' where the incident has none.';
comment on column dora.incident_history.deployment_id is 'Id of the deployment that it is attributed to; null without one.';
comment on column dora.incident_history.triggered_at is 'When that deployment was triggered.';
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
    and not exists (
        select from staging.opsgenie_former_backends as former
        where former.account = period.account and former.backend = period.backend
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

-- A column without a description of its own has that of the column of the same name that it comes from.
do $$
declare
    described record;
begin
    for described in
        select distinct on (copy.attrelid, copy.attnum)
            copy.attrelid::regclass as relation,
            copy.attname as name,
            col_description(original.attrelid, original.attnum) as description
        from (values
            (1, 'dora.service_metrics', 'dora.metrics'),
            (1, 'dora.overall_metrics', 'dora.metrics'),
            (1, 'dora.incident_attribution', 'dora.incidents'),
            (1, 'dora.attribution_overrides', 'dora.incidents'),
            (1, 'dora.effective_overrides', 'dora.incidents'),
            (2, 'dora.effective_overrides', 'dora.attribution_overrides'),
            (1, 'dora.touched_incidents_queue', 'dora.incidents'),
            (1, 'dora.incident_history', 'dora.incidents'),
            (2, 'dora.incident_history', 'dora.incident_attribution'),
            (3, 'dora.incident_history', 'staging.deployments'),
            (1, 'dora.eligible_deployments', 'staging.deployments'),
            (1, 'dora.deployment_outcomes', 'staging.deployments'),
            (1, 'dora.touched_deployments_queue', 'staging.deployments')
        ) as origin (rank, copy, original)
        inner join pg_attribute as copy on copy.attrelid = origin.copy::regclass and copy.attnum > 0
        inner join pg_attribute as original
            on original.attrelid = origin.original::regclass and original.attname = copy.attname
        where
            col_description(copy.attrelid, copy.attnum) is null
            and col_description(original.attrelid, original.attnum) is not null
        order by copy.attrelid, copy.attnum, origin.rank
    loop
        execute format(
            'comment on column %s.%I is %L', described.relation, described.name, described.description
        );
    end loop;
end
$$;
