-- How far each account was read, by what key, and what could not be read.
-- Times are timestamptz in UTC, durations seconds; what is not known is null.

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
