-- Services, people, on-call and escalation policies of OpsGenie or Jira Service Management (JSM).
-- Times are timestamptz in UTC, durations seconds; what is not known is null.

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

create view staging.opsgenie_former_backends as
select
    account,
    backend
from staging.opsgenie_backend_spans
where not upper_inf(span);

comment on view staging.opsgenie_former_backends is
'The backends that an account was read from once and is not any more.';
comment on column staging.opsgenie_former_backends.account is 'The account''s connection id.';
comment on column staging.opsgenie_former_backends.backend is 'opsgenie or jsm.';
