-- What OpsGenie or Jira Service Management (JSM) says, one table per kind of object, and how far each account was read.
-- Times are timestamptz in UTC, durations seconds; what is not known is null.

create schema if not exists staging;

create table staging.opsgenie_incidents (
    account text not null,
    incident_id text not null,
    tiny_id text,
    message text,
    description text,
    status text,
    priority text,
    created_at timestamptz not null,
    updated_at timestamptz,
    impact_start_at timestamptz,
    impact_end_at timestamptz,
    acknowledged_at timestamptz,
    resolved_at timestamptz,
    closed_at timestamptz,
    resolved_at_source text check (resolved_at_source in ('impact_end', 'resolution', 'timeline')),
    tags text[],
    details jsonb,
    web_url text,
    deleted_at timestamptz,
    key_reach text,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, incident_id)
);

comment on table staging.opsgenie_incidents is
'One row per incident, as OpsGenie or Jira Service Management (JSM) has it.';
comment on column staging.opsgenie_incidents.incident_id is 'OpsGenie''s id, or that of the issue.';
comment on column staging.opsgenie_incidents.tiny_id is 'The number, or the issue''s key, that people see.';
comment on column staging.opsgenie_incidents.message is 'The title.';
comment on column staging.opsgenie_incidents.description is 'The text below the title.';
comment on column staging.opsgenie_incidents.status is 'open, resolved, closed, or as received.';
comment on column staging.opsgenie_incidents.priority is 'P1 to P5.';
comment on column staging.opsgenie_incidents.created_at is 'When it was created.';
comment on column staging.opsgenie_incidents.updated_at is 'When anything of it was last changed; not an end.';
comment on column staging.opsgenie_incidents.impact_start_at is 'When the impact began, as people entered it.';
comment on column staging.opsgenie_incidents.impact_end_at is 'When the impact ended, as people entered it.';
comment on column staging.opsgenie_incidents.acknowledged_at is
'The first ResponderAlertAcked of the timeline; of JSM the first move out of a status of category new.';
comment on column staging.opsgenie_incidents.resolved_at is
'impact_end_at, else (JSM) the resolution date, else the timeline''s last IncidentResolved, of JSM its last move into '
'category done; null while it is open.';
comment on column staging.opsgenie_incidents.closed_at is
'The timeline''s last IncidentClosed; null unless it is closed.';
comment on column staging.opsgenie_incidents.resolved_at_source is
'Where resolved_at comes from: impact_end, resolution or timeline.';
comment on column staging.opsgenie_incidents.tags is 'Its tags.';
comment on column staging.opsgenie_incidents.details is 'Its key-value pairs.';
comment on column staging.opsgenie_incidents.web_url is 'Its page.';
comment on column staging.opsgenie_incidents.deleted_at is 'When it was found to be gone at the source.';
comment on column staging.opsgenie_incidents.backend is 'opsgenie or jsm: what it was read from last.';
comment on column staging.opsgenie_incidents.key_reach is
'What the key that last read the row can see; a row that another key no longer lists is not deleted.';

create index on staging.opsgenie_incidents (account, created_at);
create index on staging.opsgenie_incidents (account, status) where deleted_at is null and status <> 'closed';

create table staging.opsgenie_incident_services (
    account text not null,
    incident_id text not null,
    service_id text not null,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, incident_id, service_id)
);

comment on table staging.opsgenie_incident_services is 'One row per incident and service that it impacts.';
comment on column staging.opsgenie_incident_services.incident_id is 'The incident.';
comment on column staging.opsgenie_incident_services.service_id is 'The service.';

create table staging.opsgenie_incident_responders (
    account text not null,
    incident_id text not null,
    responder_type text not null,
    responder_id text not null,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, incident_id, responder_type, responder_id)
);

comment on table staging.opsgenie_incident_responders is 'One row per incident and responder.';
comment on column staging.opsgenie_incident_responders.incident_id is 'The incident.';
comment on column staging.opsgenie_incident_responders.responder_type is 'user, team, ..., as received.';
comment on column staging.opsgenie_incident_responders.responder_id is 'Id of the user or team.';

create table staging.opsgenie_incident_timeline (
    account text not null,
    incident_id text not null,
    entry_id text not null,
    entry_type text,
    event_at timestamptz,
    actor_name text,
    actor_type text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, incident_id, entry_id)
);

comment on table staging.opsgenie_incident_timeline is 'One row per entry of an incident''s timeline.';
comment on column staging.opsgenie_incident_timeline.incident_id is 'The incident.';
comment on column staging.opsgenie_incident_timeline.entry_id is
'OpsGenie''s id of the entry; of JSM the changelog entry''s id and the place of the item in it.';
comment on column staging.opsgenie_incident_timeline.entry_type is
'IncidentResolved, IncidentClosed, ..., as received; of JSM by the categories of the statuses.';
comment on column staging.opsgenie_incident_timeline.event_at is 'When it happened.';
comment on column staging.opsgenie_incident_timeline.actor_name is 'Who did it.';
comment on column staging.opsgenie_incident_timeline.actor_type is 'What that is: user, integration, ...';

create table staging.opsgenie_timeline_reads (
    account text not null,
    incident_id text not null,
    incident_updated_at timestamptz,
    incident_status text,
    refused_to text,
    synced_at timestamptz not null,
    primary key (account, incident_id)
);

comment on table staging.opsgenie_timeline_reads is
'Which version of each incident its timeline was read for; with another version it is due again.';
comment on column staging.opsgenie_timeline_reads.incident_id is 'The incident.';
comment on column staging.opsgenie_timeline_reads.incident_updated_at is 'The version: updated_at of the incident.';
comment on column staging.opsgenie_timeline_reads.incident_status is 'The version: its status.';
comment on column staging.opsgenie_timeline_reads.refused_to is
'What the key sees that was refused the timeline; it is due at once for a key that sees something else.';

create table staging.opsgenie_alerts (
    account text not null,
    alert_id text not null,
    tiny_id text,
    alias text,
    message text,
    description text,
    status text,
    priority text,
    source text,
    entity text,
    owner text,
    tags text[],
    details jsonb,
    service text,
    alert_count integer,
    created_at timestamptz not null,
    updated_at timestamptz,
    last_occurred_at timestamptz,
    acknowledged_at timestamptz,
    closed_at timestamptz,
    web_url text,
    deleted_at timestamptz,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    key_reach text,
    needs_details boolean not null default false,
    details_of timestamptz,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, alert_id)
);

comment on table staging.opsgenie_alerts is
'One row per alert of an account whose alerts are the incidents, of the priorities that are.';
comment on column staging.opsgenie_alerts.alert_id is 'Its id.';
comment on column staging.opsgenie_alerts.tiny_id is 'The number that people see.';
comment on column staging.opsgenie_alerts.alias is 'What repeats of the same alert have in common.';
comment on column staging.opsgenie_alerts.message is 'The title.';
comment on column staging.opsgenie_alerts.description is 'The text below the title.';
comment on column staging.opsgenie_alerts.status is 'open, closed, or as received.';
comment on column staging.opsgenie_alerts.priority is 'P1 to P5.';
comment on column staging.opsgenie_alerts.source is 'What raised it.';
comment on column staging.opsgenie_alerts.entity is 'What it is about.';
comment on column staging.opsgenie_alerts.owner is 'Who took it.';
comment on column staging.opsgenie_alerts.tags is 'Its tags.';
comment on column staging.opsgenie_alerts.details is 'Its key-value pairs.';
comment on column staging.opsgenie_alerts.service is
'The service that it names, where the setting alert_service_from looks; null: none, or not read yet.';
comment on column staging.opsgenie_alerts.alert_count is 'How often it occurred while it was open.';
comment on column staging.opsgenie_alerts.created_at is 'When it was created.';
comment on column staging.opsgenie_alerts.updated_at is 'When anything of it was last changed; not an end.';
comment on column staging.opsgenie_alerts.last_occurred_at is 'When it last occurred.';
comment on column staging.opsgenie_alerts.acknowledged_at is 'When it was acknowledged.';
comment on column staging.opsgenie_alerts.closed_at is 'When it was closed; null unless it is closed.';
comment on column staging.opsgenie_alerts.web_url is 'Its page, where the source gives it.';
comment on column staging.opsgenie_alerts.deleted_at is
'When it was found to be gone at the source, or to have another priority than those of the setting.';
comment on column staging.opsgenie_alerts.backend is 'opsgenie or jsm: what it was last read from.';
comment on column staging.opsgenie_alerts.key_reach is 'As in staging.opsgenie_incidents.';
comment on column staging.opsgenie_alerts.needs_details is
'Whether its service takes what lists of alerts do not have: it is read once more by its id.';
comment on column staging.opsgenie_alerts.details_of is
'The version (updated_at, else created_at) that it was read in by its id; null: none yet.';

create index on staging.opsgenie_alerts (account, created_at);
create index on staging.opsgenie_alerts (account, status) where deleted_at is null and status <> 'closed';
create index on staging.opsgenie_alerts (account, created_at desc) where
deleted_at is null and needs_details and details_of is distinct from coalesce(updated_at, created_at);

create table staging.opsgenie_services (
    account text not null,
    service_id text not null,
    name text,
    team_id text,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, service_id)
);

comment on table staging.opsgenie_services is 'One row per service.';
comment on column staging.opsgenie_services.service_id is 'OpsGenie''s id, or the service''s ARI in JSM.';
comment on column staging.opsgenie_services.name is 'Its name.';
comment on column staging.opsgenie_services.team_id is 'The team that owns it.';
comment on column staging.opsgenie_services.backend is 'opsgenie or jsm: what it was read from last.';

create table staging.opsgenie_teams (
    account text not null,
    team_id text not null,
    name text,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, team_id)
);

comment on table staging.opsgenie_teams is 'One row per team.';
comment on column staging.opsgenie_teams.team_id is 'OpsGenie''s id.';
comment on column staging.opsgenie_teams.name is 'Its name.';
comment on column staging.opsgenie_teams.backend is 'opsgenie or jsm: what it was read from last.';

create table staging.opsgenie_users (
    account text not null,
    user_id text not null,
    username text,
    full_name text,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, user_id)
);

comment on table staging.opsgenie_users is
'One row per user; of JSM those met in schedules, escalations, on-call periods and incidents.';
comment on column staging.opsgenie_users.user_id is 'OpsGenie''s id, or the Atlassian account id.';
comment on column staging.opsgenie_users.username is 'The e-mail address; null where its owner hides it.';
comment on column staging.opsgenie_users.full_name is 'The name.';
comment on column staging.opsgenie_users.backend is 'opsgenie or jsm: what it was read from last.';

create table staging.opsgenie_schedules (
    account text not null,
    schedule_id text not null,
    name text,
    timezone text,
    enabled boolean,
    team_id text,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, schedule_id)
);

comment on table staging.opsgenie_schedules is 'One row per on-call schedule.';
comment on column staging.opsgenie_schedules.schedule_id is 'OpsGenie''s id.';
comment on column staging.opsgenie_schedules.name is 'Its name.';
comment on column staging.opsgenie_schedules.timezone is 'Its IANA time zone.';
comment on column staging.opsgenie_schedules.enabled is 'Whether it is switched on.';
comment on column staging.opsgenie_schedules.team_id is 'The team that owns it.';
comment on column staging.opsgenie_schedules.backend is 'opsgenie or jsm: what it was read from last.';

create table staging.opsgenie_rotations (
    account text not null,
    schedule_id text not null,
    rotation_id text not null,
    name text,
    rotation_type text,
    rotation_length integer,
    start_at timestamptz,
    end_at timestamptz,
    participants jsonb,
    time_restriction jsonb,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, schedule_id, rotation_id)
);

comment on table staging.opsgenie_rotations is 'One row per rotation of a schedule.';
comment on column staging.opsgenie_rotations.schedule_id is 'The schedule.';
comment on column staging.opsgenie_rotations.rotation_id is 'OpsGenie''s id.';
comment on column staging.opsgenie_rotations.name is 'Its name.';
comment on column staging.opsgenie_rotations.rotation_type is 'hourly, daily or weekly.';
comment on column staging.opsgenie_rotations.rotation_length is 'How many of these units a turn lasts.';
comment on column staging.opsgenie_rotations.start_at is 'When it begins.';
comment on column staging.opsgenie_rotations.end_at is 'When it ends; null: never.';
comment on column staging.opsgenie_rotations.participants is 'Who takes turns, as received.';
comment on column staging.opsgenie_rotations.time_restriction is 'The hours at which it holds, as received.';
comment on column staging.opsgenie_rotations.backend is 'opsgenie or jsm: what it was read from last.';

create table staging.opsgenie_on_call_periods (
    account text not null,
    schedule_id text not null,
    rotation_id text not null,
    start_at timestamptz not null,
    recipient_id text not null,
    recipient_type text,
    recipient_name text,
    end_at timestamptz not null,
    period_type text,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, schedule_id, rotation_id, start_at, recipient_id),
    check (start_at < end_at)
);

comment on table staging.opsgenie_on_call_periods is
'One row per period and recipient: who is on call, overrides and forwardings applied. The past stays as it '
'was read.';
comment on column staging.opsgenie_on_call_periods.schedule_id is 'The schedule.';
comment on column staging.opsgenie_on_call_periods.rotation_id is 'The rotation.';
comment on column staging.opsgenie_on_call_periods.start_at is 'Beginning of the period.';
comment on column staging.opsgenie_on_call_periods.recipient_id is 'Id of who is on call.';
comment on column staging.opsgenie_on_call_periods.recipient_type is 'user, team, ..., as received.';
comment on column staging.opsgenie_on_call_periods.recipient_name is 'Name of who is on call.';
comment on column staging.opsgenie_on_call_periods.end_at is 'End of the period.';
comment on column staging.opsgenie_on_call_periods.period_type is 'default, override, ..., as received.';
comment on column staging.opsgenie_on_call_periods.backend is 'opsgenie or jsm: what it was read from last.';

create table staging.opsgenie_on_call_reads (
    account text not null,
    schedule_id text not null,
    read_from timestamptz not null,
    read_at timestamptz not null,
    primary key (account, schedule_id)
);

comment on table staging.opsgenie_on_call_reads is 'What of each schedule''s past is stored.';
comment on column staging.opsgenie_on_call_reads.schedule_id is 'The schedule.';
comment on column staging.opsgenie_on_call_reads.read_from is 'From when on its periods are stored.';
comment on column staging.opsgenie_on_call_reads.read_at is 'When it was last read.';

create table staging.opsgenie_escalations (
    account text not null,
    escalation_id text not null,
    name text,
    team_id text,
    repeat_count integer,
    repeat_wait_seconds integer,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, escalation_id)
);

comment on table staging.opsgenie_escalations is 'One row per escalation policy.';
comment on column staging.opsgenie_escalations.escalation_id is 'OpsGenie''s id.';
comment on column staging.opsgenie_escalations.name is 'Its name.';
comment on column staging.opsgenie_escalations.team_id is 'The team that owns it.';
comment on column staging.opsgenie_escalations.repeat_count is 'How often it starts again; null: never.';
comment on column staging.opsgenie_escalations.repeat_wait_seconds is 'How long it waits before it starts again.';
comment on column staging.opsgenie_escalations.backend is 'opsgenie or jsm: what it was read from last.';

create table staging.opsgenie_escalation_rules (
    account text not null,
    escalation_id text not null,
    step integer not null,
    condition text,
    notify_type text,
    delay_seconds bigint,
    recipient_type text,
    recipient_id text,
    recipient_name text,
    backend text not null default 'opsgenie' check (backend in ('opsgenie', 'jsm')),
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, escalation_id, step)
);

comment on table staging.opsgenie_escalation_rules is 'One row per step of an escalation policy.';
comment on column staging.opsgenie_escalation_rules.escalation_id is 'The policy.';
comment on column staging.opsgenie_escalation_rules.step is 'Its place, from 1.';
comment on column staging.opsgenie_escalation_rules.condition is 'if-not-acked or if-not-closed.';
comment on column staging.opsgenie_escalation_rules.notify_type is 'default, next, previous, users, admins or all.';
comment on column staging.opsgenie_escalation_rules.delay_seconds is 'How long after the alert it notifies.';
comment on column staging.opsgenie_escalation_rules.recipient_type is 'user, team, schedule, ...';
comment on column staging.opsgenie_escalation_rules.recipient_id is 'Id of who is notified.';
comment on column staging.opsgenie_escalation_rules.recipient_name is 'Name of who is notified.';
comment on column staging.opsgenie_escalation_rules.backend is 'opsgenie or jsm: what it was read from last.';

create table staging.opsgenie_backends (
    account text not null,
    backend text not null check (backend in ('opsgenie', 'jsm')),
    first_read_at timestamptz not null,
    last_read_at timestamptz not null,
    primary key (account, backend)
);

comment on table staging.opsgenie_backends is
'What each account was read from, and when: a connection may change from OpsGenie to JSM in place.';
comment on column staging.opsgenie_backends.backend is 'opsgenie or jsm.';
comment on column staging.opsgenie_backends.first_read_at is 'When the account was first read from it.';
comment on column staging.opsgenie_backends.last_read_at is 'When the account was last read from it.';

-- Who was on call is what the backend says that was read at the time: the past stays as it was read, and what was still
-- to come when an account left a backend is the next one's to say.
create view staging.opsgenie_backend_spans as
select
    account,
    backend,
    tstzrange(
        lag(last_read_at) over latest,
        case when lead(last_read_at) over latest is not null then last_read_at end
    ) as span
from staging.opsgenie_backends
window latest as (partition by account order by last_read_at, backend);

comment on view staging.opsgenie_backend_spans is
'From when to when each backend of an account says who was on call; the one read last says so until now and from now.';
comment on column staging.opsgenie_backend_spans.account is 'The account''s connection id.';
comment on column staging.opsgenie_backend_spans.backend is 'opsgenie or jsm.';
comment on column staging.opsgenie_backend_spans.span is 'The instants for which it says so; without an end if unbounded.';

create table staging.sync_state (
    account text not null,
    stream text not null,
    watermark_at timestamptz,
    last_success_at timestamptz,
    rows_changed bigint,
    read_ahead tstzmultirange not null default '{}',
    primary key (account, stream)
);

comment on table staging.sync_state is 'One row per account and stream: how far it was read.';
comment on column staging.sync_state.stream is 'What is read, opsgenie_incidents for example.';
comment on column staging.sync_state.watermark_at is 'Up to when it was read without a gap.';
comment on column staging.sync_state.last_success_at is 'When it was last read.';
comment on column staging.sync_state.rows_changed is 'How many rows that changed.';
comment on column staging.sync_state.read_ahead is
'What was read beyond a gap after the watermark: windows that ended before the ones before them.';

create table staging.rejected_payloads (
    account text not null,
    stream text not null,
    payload jsonb not null,
    reason text not null,
    seen_at timestamptz not null
);

comment on table staging.rejected_payloads is 'What could not be read, whole or in part; nothing is dropped.';
comment on column staging.rejected_payloads.stream is 'What was being read.';
comment on column staging.rejected_payloads.payload is 'The payload, or the id and the part that could not be read.';
comment on column staging.rejected_payloads.reason is 'Why it could not be read.';
comment on column staging.rejected_payloads.seen_at is 'When it was last seen.';

create unique index on staging.rejected_payloads (account, stream, md5(payload::text), reason);

create table staging.opsgenie_keys (
    account text primary key,
    key_reach text not null,
    notes text[] not null,
    checked_at timestamptz not null,
    key_hash text,
    configuration boolean,
    limits jsonb
);

comment on table staging.opsgenie_keys is 'One row per account: what its key was found to see.';
comment on column staging.opsgenie_keys.key_reach is
'account, or a name for this key where it sees only a part of the account.';
comment on column staging.opsgenie_keys.notes is 'What the key will not see, in words.';
comment on column staging.opsgenie_keys.checked_at is 'When the key was validated.';
comment on column staging.opsgenie_keys.key_hash is
'A short hash of the key and its host; null: to be validated by the next run, whatever checked_at says.';
comment on column staging.opsgenie_keys.configuration is
'Whether the key may read services, teams, schedules, escalation policies and timelines.';
comment on column staging.opsgenie_keys.limits is 'The rate limits of the account, per domain: [requests, seconds].';

create table staging.sync_progress (
    account text primary key,
    run_id text not null,
    plan jsonb,
    incidents_read tstzmultirange not null default '{}',
    steps_done text[] not null default '{}',
    rows_changed bigint not null default 0
);

comment on table staging.sync_progress is
'What an unfinished run has done of an account so far: another try of its task continues from there.';
comment on column staging.sync_progress.run_id is 'The Airflow run.';
comment on column staging.sync_progress.plan is 'What the run was to read.';
comment on column staging.sync_progress.incidents_read is 'The windows of incidents that were read.';
comment on column staging.sync_progress.steps_done is 'The parts that were read.';
comment on column staging.sync_progress.rows_changed is 'How many rows that changed.';
