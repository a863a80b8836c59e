-- What an incremental refresh of the dora tables works with: the runs and their settings, what attribution
-- searches in, and the keys that were touched since the last run.

-- One row per refresh, with the settings that its tables were made with.
create table dora.refreshes (
    refresh_id bigint generated always as identity primary key,
    is_full boolean not null,
    window_before interval not null,
    window_after interval not null,
    direction text not null check (direction in ('both', 'before_only')),
    environments text[] not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    span_start timestamptz,
    span_end timestamptz
);

comment on column dora.refreshes.span_start is
'Of all opened_at and eligible triggered_at the earliest; what match_quality is measured over.';

-- The refresh at work or, seen from outside, the last one. A deployment of [opened_at - reach_before,
-- opened_at + reach_after], both ends included, may have caused an incident.
create view dora.current_refresh as
select
    refresh_id,
    is_full,
    window_before as reach_before,
    case direction when 'before_only' then interval '0' else window_after end as reach_after,
    environments
from dora.refreshes
order by refresh_id desc
limit 1;

-- The eligible deployments as staging has them: they succeeded, in one of the environments of the settings.
create view dora.eligible_now as
select
    deployment.source as deployment_source,
    deployment.deployment_id,
    coalesce(dora.service_key(deployment.service), '') as service,
    deployment.environment,
    deployment.triggered_at,
    deployment.commit_sha,
    deployment.repository,
    deployment.pr_number,
    deployment.pr_url,
    deployment.pr_title
from staging.deployments as deployment
where
    deployment.status = 'success'
    and lower(deployment.environment) = any(array(
        select lower(eligible.environment)
        from dora.current_refresh as refresh
        cross join lateral unnest(refresh.environments) as eligible (environment)
    ));

-- One row per eligible deployment, kept slim and in the order in which attribution wants them. Ids are
-- compared byte by byte, so that "the smaller" is the same on every server.
create table dora.eligible_deployments (
    service text not null,
    triggered_at timestamptz not null,
    deployment_source text not null,
    deployment_id text not null
);

create unique index eligible_deployments_in_order on dora.eligible_deployments
(service, triggered_at, deployment_source collate "C", deployment_id collate "C");

-- One row per service that some deployment, eligible or not, bears.
create table dora.deployed_services (
    service text primary key
);

-- One row per incident and service, '' where the incident has none: everything that metrics count and the
-- incident history is searched by.
create table dora.incident_facts (
    source text not null,
    account text not null,
    incident_id text not null,
    service text not null,
    opened_at timestamptz not null,
    recovered_at timestamptz,
    seconds_to_recover double precision,
    status text not null,
    priority text,
    is_mapped boolean not null,
    match_status text not null,
    deployment_source text,
    deployment_id text,
    is_first boolean not null,
    is_incident_attributed boolean not null,
    recovered_day date generated always as (dora.utc_day(recovered_at)) stored,
    primary key (incident_id, account, source, service)
);

comment on column dora.incident_facts.is_mapped is 'A row of service_map named the service.';
comment on column dora.incident_facts.is_first is
'The first of the incident''s services: counting these rows counts incidents.';
comment on column dora.incident_facts.is_incident_attributed is
'One of the incident''s services is attributed to a deployment.';

create index on dora.incident_facts (service, opened_at);
create index on dora.incident_facts (opened_at);
create index on dora.incident_facts (recovered_day);
create index on dora.incident_facts (match_status, opened_at);
create index on dora.incident_facts (opened_at) where status = 'open';
create index on dora.incident_facts (deployment_id, deployment_source) where deployment_id is not null;

-- One row per service, '' where incidents have none, and match_status: counted as they change.
create table dora.match_counts (
    service text not null,
    match_status text not null,
    incidents bigint not null,
    primary key (service, match_status)
);

-- OpsGenie incidents that the migration made, and the PagerDuty incidents that they are.
create view dora.imported_incidents as
select
    account,
    incident_id,
    details ->> 'pagerduty_account' as pagerduty_account,
    details ->> 'pagerduty_id' as pagerduty_id
from staging.opsgenie_incidents
where details ->> 'pagerduty_account' is not null and details ->> 'pagerduty_id' is not null;

create index opsgenie_incidents_imported on staging.opsgenie_incidents
((details ->> 'pagerduty_account'), (details ->> 'pagerduty_id'))
where details ->> 'pagerduty_account' is not null and details ->> 'pagerduty_id' is not null;

create index opsgenie_incidents_imported_keys on staging.opsgenie_incidents (account, incident_id)
where details ->> 'pagerduty_account' is not null and details ->> 'pagerduty_id' is not null;

create index on staging.opsgenie_incident_services (account, service_id);
create index deployments_service_key on staging.deployments ((coalesce(dora.service_key(service), '')));

-- What was touched since the last refresh; keys may stand here many times. They have no index on purpose:
-- a unique one would make writers wait for each other and for a refresh.
create table dora.touched_incidents_queue (
    source text not null,
    account text not null,
    incident_id text not null
);
create table dora.touched_services_queue (
    account text not null,
    service_id text not null
);
create table dora.touched_deployments_queue (
    deployment_source text not null,
    deployment_id text not null
);
-- Whatever cannot be said by key asks for a full refresh.
create table dora.full_refresh_queue (
    reason text not null
);
