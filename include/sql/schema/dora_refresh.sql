-- What a refresh goes by: its settings, and what was touched since the last one, with the triggers that note it.

-- The refreshes, and the settings that the tables were made with

create table dora.refreshes (
    refresh_id bigint generated always as identity primary key,
    is_full boolean not null,
    window_before interval not null,
    window_after interval not null,
    direction text not null check (direction in ('both', 'before_only')),
    environments text[] not null,
    repository_environments jsonb not null default '{}',
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    checks jsonb,
    error text
);

comment on table dora.refreshes is 'One row per refresh, with the settings that its tables were made with.';
comment on column dora.refreshes.refresh_id is 'Number of the refresh, ascending.';
comment on column dora.refreshes.is_full is 'Whether everything was computed again.';
comment on column dora.refreshes.window_before is 'How long before an incident a deployment may lie.';
comment on column dora.refreshes.window_after is 'How long after it.';
comment on column dora.refreshes.direction is 'both, or before_only: deployments after the incident do not count.';
comment on column dora.refreshes.environments is 'The environments that counted.';
comment on column dora.refreshes.repository_environments is 'Those of repositories that have their own, by repository.';
comment on column dora.refreshes.started_at is 'When it began.';
comment on column dora.refreshes.finished_at is 'When it ended; null where it failed.';
comment on column dora.refreshes.checks is
'The data checks that ran, each with the number of rows it found: 0 where it passed.';
comment on column dora.refreshes.error is 'Why the refresh failed and changed nothing; null where it did not fail.';

create view dora.current_refresh as
select
    window_before as effective_window_before,
    case direction when 'before_only' then interval '0' else window_after end as effective_window_after,
    direction = 'both' and window_before = window_after as is_symmetric
from dora.refreshes
where error is null
order by refresh_id desc
limit 1;

comment on view dora.current_refresh is
'The match rule of the refresh that is running or, seen from outside, of the last one. A deployment is a candidate for '
'an incident if it was triggered within [opened_at - effective_window_before, opened_at + effective_window_after], '
'both ends included.';
comment on column dora.current_refresh.effective_window_before is 'How long before an incident a deployment may lie.';
comment on column dora.current_refresh.effective_window_after is 'How long after it: 0 where direction is before_only.';
comment on column dora.current_refresh.is_symmetric is 'Whether direction is both and the two windows are equal.';

create view dora.eligible_environments as
with
refresh as (
    select
        environments,
        repository_environments
    from dora.refreshes
    where error is null
    order by refresh_id desc
    limit 1
)

select
    '' as repository,
    dora.lower_case(environment) as environment
from refresh
cross join lateral unnest(environments) as environment
union
select
    lower(entry.key) as repository,
    dora.lower_case(environment) as environment
from refresh
cross join lateral jsonb_each(repository_environments) as entry
cross join lateral jsonb_array_elements_text(entry.value) as environment;

comment on view dora.eligible_environments is
'The environments that count, in lower case: those of repository '''', or of a repository that has its own.';
comment on column dora.eligible_environments.repository is
'owner/name in lower case; '''' for all repositories without environments of their own.';
comment on column dora.eligible_environments.environment is 'Name of the environment in lower case.';

-- Imported incidents

create function dora.is_imported(details jsonb) returns boolean
language sql immutable parallel safe
return coalesce(
    octet_length(details ->> 'pagerduty_account') <= 500 and octet_length(details ->> 'pagerduty_id') <= 500, false
);

comment on function dora.is_imported is
'Whether the details of an OpsGenie incident say that it is the copy of a PagerDuty incident. What is longer than any id '
'was not written by an import, and would not fit into the index.';

create index opsgenie_incidents_imported on staging.opsgenie_incidents
((details ->> 'pagerduty_account'), (details ->> 'pagerduty_id')) where dora.is_imported(details);

create view dora.imported_incidents as
select distinct on (pagerduty_account, pagerduty_id)
    details ->> 'pagerduty_account' as pagerduty_account,
    details ->> 'pagerduty_id' as pagerduty_id,
    account,
    incident_id,
    not exists (
        select from staging.pagerduty_incidents as original
        where
            original.account = details ->> 'pagerduty_account'
            and original.incident_id = details ->> 'pagerduty_id'
    ) as is_only_copy
from staging.opsgenie_incidents
where dora.is_imported(details) and deleted_at is null
order by pagerduty_account, pagerduty_id, account collate "C", incident_id collate "C";

comment on view dora.imported_incidents is
'One row per imported PagerDuty incident: its OpsGenie copy, the first by account and id should there be several.';
comment on column dora.imported_incidents.pagerduty_account is 'Account of the original in PagerDuty.';
comment on column dora.imported_incidents.pagerduty_id is 'Its id there.';
comment on column dora.imported_incidents.account is 'Account of the copy in OpsGenie.';
comment on column dora.imported_incidents.incident_id is 'Its id there.';
comment on column dora.imported_incidents.is_only_copy is 'Whether staging has the incident from OpsGenie only.';

-- Services and overrides

create view dora.service_names as
select
    account,
    service_id,
    coalesce(dora.service_key(mapped.service), dora.service_key(listed.name)) as service,
    mapped.service is not null as is_mapped
from staging.opsgenie_services as listed
full outer join dora.service_map as mapped using (account, service_id);

comment on view dora.service_names is
'One row per service that is listed or mapped: its name in dora, which is what dora.service_map says, else its own.';
comment on column dora.service_names.account is 'The account''s connection id.';
comment on column dora.service_names.service_id is 'Id of the service there.';
comment on column dora.service_names.service is 'Its name in dora; null where it has no name.';
comment on column dora.service_names.is_mapped is 'Whether dora.service_map has it.';

create view dora.effective_overrides as
select distinct on (source, account, incident_id, dora.service_key(service))
    source,
    account,
    incident_id,
    coalesce(dora.service_key(service), '') as service,
    deployment_source,
    deployment_id,
    reason,
    decided_by,
    decided_at
from dora.attribution_overrides
order by
    source asc,
    account asc,
    incident_id asc,
    dora.service_key(service) asc,
    decided_at desc nulls last,
    service collate "C" asc;

comment on view dora.effective_overrides is
'One row per incident and service with an override: the latest decision, should several spell the service differently.';
comment on column dora.effective_overrides.service is 'The service''s name in dora; '''' where the incident has none.';

-- Access paths of a refresh

create index on staging.opsgenie_incident_services (account, service_id);
create index on staging.opsgenie_alerts (account, service);
create index deployments_service_key on staging.deployments ((coalesce(dora.service_key(service), '')));

-- What was touched since the last refresh; a key may be in a queue many times. They have no index on purpose: a
-- unique one would make writers wait for each other and for a refresh.

create table dora.touched_incidents_queue (
    source text not null,
    account text not null,
    incident_id text not null
);

comment on table dora.touched_incidents_queue is 'Incidents touched since the last refresh.';

create table dora.touched_services_queue (
    account text not null,
    service_id text not null
);

comment on table dora.touched_services_queue is 'Services renamed, mapped or no longer listed since the last refresh.';
comment on column dora.touched_services_queue.account is 'The account''s connection id.';
comment on column dora.touched_services_queue.service_id is 'Id of the service there.';

create table dora.touched_deployments_queue (
    deployment_source text not null,
    deployment_id text not null,
    service text not null
);

comment on table dora.touched_deployments_queue is
'Deployments touched since the last refresh, under the name of their service before and after.';
comment on column dora.touched_deployments_queue.deployment_source is 'As source in staging.deployments.';
comment on column dora.touched_deployments_queue.service is 'The service''s name in dora.';

create table dora.full_refresh_queue (
    reason text not null
);

comment on table dora.full_refresh_queue is 'Changes that affect more than single keys, and so ask for a full refresh.';
comment on column dora.full_refresh_queue.reason is 'What happened, for the log.';

-- Whatever writes to the tables that dora is computed from, a trigger puts the keys of the changed rows into a queue in
-- the same transaction. It fires once per statement, over its transition tables, so that bulk loads stay cheap. The
-- columns are those that the files of include/sql/transform read; a test compares both.

-- Runs the trigger's first argument, an insert that reads the relation touched: the rows, before and after,
-- in which a column of the second argument changed. Runs as its owner, so that a role that may only write
-- to a staging table need not know of the queues. As its arguments are SQL, execute is revoked from public.
create function dora.note_touched() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    execute 'with touched as (' || case tg_op
        when 'INSERT' then format('select %1$s from new_rows', tg_argv[1])
        when 'DELETE' then format('select %1$s from old_rows', tg_argv[1])
        else format(
            '(select %1$s from old_rows except select %1$s from new_rows) union all '
            '(select %1$s from new_rows except select %1$s from old_rows)',
            tg_argv[1]
        )
    end || ') ' || tg_argv[0];
    return null;
end
$$;

create function dora.note_truncated() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into dora.full_refresh_queue (reason) values (format('%s.%s was truncated', tg_table_schema, tg_table_name));
    return null;
end
$$;

revoke execute on function dora.note_touched() from public;
revoke execute on function dora.note_truncated() from public;

do $$
declare
    watched record;
    event record;
begin
    for watched in
        select * from (values
            -- An incident that was imported is the PagerDuty incident: both keys, of both its versions.
            (
                'staging.opsgenie_incidents',
                'insert into dora.touched_incidents_queue (source, account, incident_id) '
                'select ''opsgenie'', account, incident_id from touched union '
                'select ''pagerduty'', details ->> ''pagerduty_account'', details ->> ''pagerduty_id'' from touched '
                'where dora.is_imported(details)',
                'account, incident_id, message, status, priority, created_at, acknowledged_at, resolved_at, '
                'closed_at, details, web_url, deleted_at'
            ),
            (
                'staging.opsgenie_incident_services',
                'insert into dora.touched_incidents_queue (source, account, incident_id) '
                'select distinct ''opsgenie'', account, incident_id from touched',
                'account, incident_id, service_id'
            ),
            (
                'staging.opsgenie_alerts',
                'insert into dora.touched_incidents_queue (source, account, incident_id) '
                'select distinct ''alert'', account, alert_id from touched',
                'account, alert_id, message, status, priority, service, created_at, acknowledged_at, closed_at, '
                'web_url, deleted_at'
            ),
            (
                'staging.pagerduty_incidents',
                'insert into dora.touched_incidents_queue (source, account, incident_id) '
                'select distinct ''pagerduty'', account, incident_id from touched',
                'account, incident_id, title, status, urgency, priority, service_id, service_name, created_at, '
                'acknowledged_at, resolved_at, merged_into, web_url'
            ),
            (
                'dora.attribution_overrides',
                'insert into dora.touched_incidents_queue (source, account, incident_id) '
                'select distinct source, account, incident_id from touched',
                'source, account, incident_id, service, deployment_source, deployment_id, decided_at'
            ),
            (
                'staging.opsgenie_services',
                'insert into dora.touched_services_queue (account, service_id) '
                'select distinct account, service_id from touched',
                'account, service_id, name'
            ),
            (
                'dora.service_map',
                'insert into dora.touched_services_queue (account, service_id) '
                'select distinct account, service_id from touched',
                'account, service_id, service'
            ),
            (
                'staging.deployments',
                'insert into dora.touched_deployments_queue (deployment_source, deployment_id, service) '
                'select distinct source, deployment_id, coalesce(dora.service_key(service), '''') from touched',
                'source, deployment_id, service, environment, status, triggered_at, commit_sha, repository, '
                'pr_number, pr_url, pr_title'
            ),
            -- Rare, and of every incident with that priority.
            (
                'dora.pagerduty_priorities',
                'insert into dora.full_refresh_queue (reason) '
                'select distinct ''the priorities of '' || account || '' changed'' from touched',
                'account, pagerduty_priority, priority'
            )
        ) as watched (relation, note, columns)
    loop
        for event in
            select * from (values
                ('insert', 'new table as new_rows'),
                ('update', 'old table as old_rows new table as new_rows'),
                ('delete', 'old table as old_rows')
            ) as event (name, rows)
        loop
            execute format(
                'create trigger dora_%1$s after %1$s on %2$s referencing %3$s '
                'for each statement execute function dora.note_touched(%4$L, %5$L)',
                event.name, watched.relation, event.rows, watched.note, watched.columns
            );
        end loop;
        execute format(
            'create trigger dora_truncate after truncate on %s '
            'for each statement execute function dora.note_truncated()',
            watched.relation
        );
    end loop;
end
$$;
