-- Staging: what OpsGenie says, one table per object, one row per object.
-- Times are timestamptz in UTC; what is not known is null.

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
    resolved_at_source text check (resolved_at_source in ('impact_end', 'timeline')),
    tags text[],
    details jsonb,
    web_url text,
    deleted_at timestamptz,
    key_reach text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, incident_id)
);

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

create table staging.opsgenie_incident_responders (
    account text not null,
    incident_id text not null,
    responder_type text not null,
    responder_id text not null,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, incident_id, responder_type, responder_id)
);

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

-- Which version of an incident its timeline was read for: another version means it is due again.
create table staging.opsgenie_timeline_reads (
    account text not null,
    incident_id text not null,
    incident_updated_at timestamptz,
    incident_status text,
    refused_to text,
    synced_at timestamptz not null,
    primary key (account, incident_id)
);

comment on column staging.opsgenie_timeline_reads.refused_to is
'What the key sees that was refused the timeline; it is due at once for a key that sees something else.';

create table staging.opsgenie_services (
    account text not null,
    service_id text not null,
    name text,
    team_id text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, service_id)
);

create table staging.opsgenie_teams (
    account text not null,
    team_id text not null,
    name text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, team_id)
);

create table staging.opsgenie_users (
    account text not null,
    user_id text not null,
    username text,
    full_name text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, user_id)
);

create table staging.opsgenie_schedules (
    account text not null,
    schedule_id text not null,
    name text,
    timezone text,
    enabled boolean,
    team_id text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, schedule_id)
);

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
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, schedule_id, rotation_id)
);

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
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, schedule_id, rotation_id, start_at, recipient_id),
    check (start_at < end_at)
);

-- What of each schedule's past is stored, and when it was read.
create table staging.opsgenie_on_call_reads (
    account text not null,
    schedule_id text not null,
    read_from timestamptz not null,
    read_at timestamptz not null,
    primary key (account, schedule_id)
);

create table staging.opsgenie_escalations (
    account text not null,
    escalation_id text not null,
    name text,
    team_id text,
    repeat_count integer,
    repeat_wait_seconds integer,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, escalation_id)
);

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
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, escalation_id, step)
);

create table staging.sync_state (
    account text not null,
    stream text not null,
    watermark_at timestamptz,
    last_success_at timestamptz,
    rows_changed bigint,
    read_ahead tstzmultirange not null default '{}',
    primary key (account, stream)
);

comment on column staging.sync_state.read_ahead is
'What was read beyond a gap after the watermark: windows that ended before the ones before them.';

create table staging.rejected_payloads (
    account text not null,
    stream text not null,
    payload jsonb not null,
    reason text not null,
    seen_at timestamptz not null
);

create unique index on staging.rejected_payloads (account, stream, md5(payload::text), reason);

-- What the key of each account was found to see, and what it will not see, in words.
create table staging.opsgenie_keys (
    account text primary key,
    key_reach text not null,
    notes text[] not null,
    checked_at timestamptz not null,
    key_hash text,
    configuration boolean,
    limits jsonb
);

comment on column staging.opsgenie_keys.key_hash is
'A short hash of the key and its host; null: to be validated by the next run, whatever checked_at says.';

-- What a run has done of an account so far: another try of its task continues from there. No row: the
-- account's last run is complete.
create table staging.sync_progress (
    account text primary key,
    run_id text not null,
    plan jsonb,
    incidents_read tstzmultirange not null default '{}',
    steps_done text[] not null default '{}',
    rows_changed bigint not null default 0
);
