-- Deployments of every source, and PagerDuty's incidents. Times are timestamptz in UTC; what is not known is null.

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
    event_at timestamptz,
    primary key (source, deployment_id),
    constraint deployments_status_known check (status in ('pending', 'running', 'success', 'failure', 'cancelled')),
    -- Beyond these years, and at infinity, dates cannot be counted with, nor read by most clients.
    constraint deployments_triggered_at_in_range check (
        triggered_at >= '0001-01-01 00:00:00+00' and triggered_at < '10000-01-01 00:00:00+00'
    ),
    constraint deployments_finished_at_in_range check (
        finished_at >= '0001-01-01 00:00:00+00' and finished_at < '10000-01-01 00:00:00+00'
    ),
    constraint deployments_event_at_in_range check (
        event_at >= '0001-01-01 00:00:00+00' and event_at < '10000-01-01 00:00:00+00'
    ),
    constraint deployments_synced_from_known check (synced_from in ('github', 'relation')),
    -- These are in indexes, also of dora, and an entry of an index has at most 2,704 bytes.
    constraint deployments_keys_fit check (
        octet_length(source) <= 500
        and octet_length(deployment_id) <= 1000
        and octet_length(service) <= 500
        and octet_length(repository) <= 500
    )
);

comment on table staging.deployments is
'One row per deployment, of every source. Insert, update and delete rows as you like: the dora tables follow.';
comment on column staging.deployments.source is
'Where the row comes from: github, gitlab, the name of your relation, ...';
comment on column staging.deployments.deployment_id is 'Id of the deployment at its source.';
comment on column staging.deployments.service is 'Name of the service that was deployed.';
comment on column staging.deployments.environment is 'Environment deployed to.';
comment on column staging.deployments.status is
'pending, running, success, failure or cancelled. success: it succeeded at some time, whatever became of it later.';
comment on column staging.deployments.triggered_at is 'When the deployment was triggered.';
comment on column staging.deployments.finished_at is 'When it ended.';
comment on column staging.deployments.commit_sha is 'The commit that was deployed.';
comment on column staging.deployments.repository is 'Repository of the commit, as owner/name.';
comment on column staging.deployments.pr_number is 'Number of the pull request that merged the commit.';
comment on column staging.deployments.pr_url is 'Address of that pull request.';
comment on column staging.deployments.pr_title is 'Title of that pull request.';
comment on column staging.deployments.url is 'Page of the deployment.';
comment on column staging.deployments.synced_from is
'What deployments_sync read the row from, and may delete it for: github, or the relation of the settings. '
'Null where a webhook or somebody else wrote it.';
comment on column staging.deployments.event_at is
'Time of the newest event in the row, from the webhook or GitHub; an older event does not overwrite a newer one.';

-- To GitHub Acme/Shop and acme/shop are the same.
create index on staging.deployments (lower(repository)) where repository is not null;

create table staging.github_renames (
    repository text primary key,
    renamed_to text not null
);

comment on table staging.github_renames is
'One row per repository that GitHub says has another name now; its deployments belong to the new name once '
'the settings have it.';
comment on column staging.github_renames.repository is 'The old name.';
comment on column staging.github_renames.renamed_to is 'The new name.';

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

comment on table staging.pagerduty_incidents is 'One row per PagerDuty incident.';
comment on column staging.pagerduty_incidents.incident_id is 'PagerDuty''s id.';
comment on column staging.pagerduty_incidents.incident_number is 'The number that people see.';
comment on column staging.pagerduty_incidents.title is 'Its title.';
comment on column staging.pagerduty_incidents.status is 'triggered, acknowledged or resolved.';
comment on column staging.pagerduty_incidents.urgency is 'high or low.';
comment on column staging.pagerduty_incidents.priority is 'Name of its priority.';
comment on column staging.pagerduty_incidents.service_id is 'PagerDuty''s id of the service.';
comment on column staging.pagerduty_incidents.service_name is 'Name of the service.';
comment on column staging.pagerduty_incidents.created_at is 'When it was created.';
comment on column staging.pagerduty_incidents.acknowledged_at is 'When it was first acknowledged.';
comment on column staging.pagerduty_incidents.resolved_at is 'When it was resolved.';
comment on column staging.pagerduty_incidents.merged_into is 'The incident that it was merged into.';
comment on column staging.pagerduty_incidents.web_url is 'Its page.';

create index on staging.pagerduty_incidents (account, service_id);
create index on staging.pagerduty_incidents (account, created_at);

create table staging.webhook_deliveries (
    sender text not null,
    delivery_id text not null,
    source text not null,
    deployment_id text not null,
    received_at timestamptz not null default now(),
    primary key (sender, delivery_id)
);

comment on table staging.webhook_deliveries is
'One row per webhook delivery that was accepted, so that a repeat changes nothing; kept for 30 days.';
comment on column staging.webhook_deliveries.sender is 'github, gitlab or generic.';
comment on column staging.webhook_deliveries.delivery_id is 'The sender''s id of the delivery.';
comment on column staging.webhook_deliveries.source is 'The deployment''s source.';
comment on column staging.webhook_deliveries.deployment_id is 'The deployment.';
comment on column staging.webhook_deliveries.received_at is 'When it was received.';

create index on staging.webhook_deliveries (received_at);

-- What every table has that came from a source.
do $$
declare
    place record;
begin
    for place in
        select table_name, column_name from information_schema.columns
        where table_schema = 'staging' and column_name in ('account', 'raw', 'synced_at')
    loop
        execute format(
            'comment on column staging.%I.%I is %L', place.table_name, place.column_name,
            case place.column_name
                when 'account' then 'Id of the Airflow connection that it was read through.'
                when 'raw' then 'The payload as received.'
                else 'When the row last changed.'
            end
        );
    end loop;
end
$$;
