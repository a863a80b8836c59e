-- Staging: deployments, from whatever tells of them, and what PagerDuty says of its incidents.
-- Times are timestamptz in UTC; what is not known is null.

-- One row per deployment. Writing rows here is a supported way in: six columns are required, the rest
-- has a default.
create table staging.deployments (
    source text not null,
    deployment_id text not null,
    service text not null,
    environment text not null,
    status text not null,
    triggered_at timestamptz not null,
    finished_at timestamptz,
    commit_sha text,
    repository text,
    pr_number bigint,
    pr_url text,
    pr_title text,
    url text,
    raw jsonb not null default '{}',
    synced_at timestamptz not null default now(),
    synced_from text,
    primary key (source, deployment_id),
    constraint deployments_status_known check (status in ('pending', 'running', 'success', 'failure', 'cancelled')),
    -- Beyond these years, and at infinity, dates cannot be counted with, nor read by most clients.
    constraint deployments_triggered_at_in_range check (
        triggered_at >= '0001-01-01 00:00:00+00' and triggered_at < '10000-01-01 00:00:00+00'
    ),
    constraint deployments_finished_at_in_range check (
        finished_at >= '0001-01-01 00:00:00+00' and finished_at < '10000-01-01 00:00:00+00'
    ),
    constraint deployments_synced_from_known check (synced_from in ('github', 'relation'))
);

comment on table staging.deployments is
'Deployments of every source. Insert, update and delete rows as you like: the dora tables follow.';
comment on column staging.deployments.status is
'success: it succeeded at some time, whatever became of it later.';

comment on column staging.deployments.synced_from is
'What deployments_sync read the row from, and may delete it for: github, or the relation of the settings. '
'Null where a webhook or somebody else wrote it.';

-- GitHub does not tell Acme/Shop from acme/shop.
create index on staging.deployments (lower(repository)) where repository is not null;

-- One row per environment that an entry of github_repositories names, in lower case both: these, and none of the
-- setting environments, are the eligible ones of that repository.
create table staging.github_environments (
    repository text not null,
    environment text not null,
    primary key (repository, environment)
);

-- One row per repository that GitHub says has another name now: its deployments are those of the new name, once
-- the settings have it.
create table staging.github_renames (
    repository text primary key,
    renamed_to text not null
);

-- One row per PagerDuty incident; merged_into names the incident that took this one in.
create table staging.pagerduty_incidents (
    account text not null,
    incident_id text not null,
    incident_number bigint,
    title text,
    status text,
    urgency text,
    priority text,
    service_id text,
    service_name text,
    created_at timestamptz not null,
    acknowledged_at timestamptz,
    resolved_at timestamptz,
    merged_into text,
    web_url text,
    raw jsonb not null default '{}',
    synced_at timestamptz not null default now(),
    primary key (account, incident_id)
);

create index on staging.pagerduty_incidents (account, service_id);
create index on staging.pagerduty_incidents (account, created_at);
