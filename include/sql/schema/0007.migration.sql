-- PagerDuty's history on its way into OpsGenie: what was read, what is planned, what became of it.
-- Times are timestamptz in UTC; durations are in seconds; what is not known is null.

-- One row per log entry; entry_type as received (acknowledge_log_entry, ...).
create table staging.pagerduty_log_entries (
    account text not null,
    incident_id text not null,
    entry_id text not null,
    entry_type text,
    event_at timestamptz,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, incident_id, entry_id)
);

create table staging.pagerduty_notes (
    account text not null,
    incident_id text not null,
    note_id text not null,
    author text,
    content text,
    created_at timestamptz,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, incident_id, note_id)
);

-- Which version of an incident its log entries and notes were read for: another version means they are due.
create table staging.pagerduty_detail_reads (
    account text not null,
    incident_id text not null,
    version text not null,
    with_notes boolean not null,
    synced_at timestamptz not null,
    primary key (account, incident_id)
);

create table staging.pagerduty_services (
    account text not null,
    service_id text not null,
    name text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, service_id)
);

create table staging.pagerduty_teams (
    account text not null,
    team_id text not null,
    name text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, team_id)
);

-- position: 1 is the most severe.
create table staging.pagerduty_priorities (
    account text not null,
    priority_id text not null,
    name text,
    position integer not null,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, priority_id)
);

create schema if not exists migration;

-- One row per PagerDuty incident: what is planned for it and what became of it. It outlives both services.
create table migration.ledger (
    account text not null,
    pagerduty_id text not null,
    state text not null,
    reason text,
    opsgenie_request_id text,
    opsgenie_incident_id text,
    payload jsonb,
    original_created_at timestamptz not null,
    original_resolved_at timestamptz,
    seconds_to_recover numeric,
    attempts integer not null default 0,
    last_error text,
    updated_at timestamptz not null default now(),
    notes_done integer not null default 0,
    note_sent boolean not null default false,
    note_request_id text,
    primary key (account, pagerduty_id),
    constraint ledger_state_known check (
        state in ('planned', 'submitting', 'submitted', 'created', 'resolved', 'done', 'skipped', 'failed')
    ),
    constraint ledger_created_has_id check (
        state not in ('created', 'resolved', 'done') or opsgenie_incident_id is not null
    )
);

-- No OpsGenie incident stands for two of PagerDuty's.
create unique index on migration.ledger (opsgenie_incident_id) where opsgenie_incident_id is not null;
create index on migration.ledger (account, state);

comment on column migration.ledger.payload is
'What is sent (create, notes, resolve), and all that PagerDuty said (source).';
comment on column migration.ledger.notes_done is
'How many of the payload''s notes stand in OpsGenie; note_sent: the next one may stand there, too.';

-- What the last verification found in OpsGenie, one row per incident that bears an import tag.
create table migration.opsgenie_incidents (
    account text not null,
    opsgenie_incident_id text not null,
    pagerduty_id text,
    original_created_at timestamptz,
    seconds_to_recover numeric,
    status text,
    raw jsonb not null,
    read_at timestamptz not null,
    primary key (account, opsgenie_incident_id)
);

-- One row per account and UTC month of original creation: what PagerDuty has to move, what the ledger says was
-- moved, and what the last verification read back from OpsGenie.
create view migration.parity as
with moved as (
    select
        incident.account,
        date_trunc('month', incident.created_at at time zone 'utc')::date as month,
        count(*) as pagerduty_incidents,
        coalesce(
            sum(extract(epoch from incident.resolved_at - incident.created_at)) filter (
                where incident.status = 'resolved' and incident.resolved_at >= incident.created_at
            ), 0
        ) as pagerduty_seconds
    from staging.pagerduty_incidents as incident
    left join migration.ledger as ledger
        on incident.account = ledger.account and incident.incident_id = ledger.pagerduty_id
    where ledger.state is distinct from 'skipped'
    group by 1, 2
),

booked as (
    select
        account,
        date_trunc('month', original_created_at at time zone 'utc')::date as month,
        count(*) as ledger_incidents,
        coalesce(sum(seconds_to_recover), 0) as ledger_seconds
    from migration.ledger
    where state = 'done'
    group by 1, 2
),

found as (
    select
        account,
        date_trunc('month', original_created_at at time zone 'utc')::date as month,
        count(*) as opsgenie_incidents,
        coalesce(sum(seconds_to_recover), 0) as opsgenie_seconds
    from migration.opsgenie_incidents
    group by 1, 2
),

sides as (
    select
        coalesce(moved.account, booked.account, found.account) as account,
        coalesce(moved.month, booked.month, found.month) as month,
        coalesce(moved.pagerduty_incidents, 0) as pagerduty_incidents,
        coalesce(booked.ledger_incidents, 0) as ledger_incidents,
        coalesce(found.opsgenie_incidents, 0) as opsgenie_incidents,
        coalesce(moved.pagerduty_seconds, 0) as pagerduty_seconds,
        coalesce(booked.ledger_seconds, 0) as ledger_seconds,
        coalesce(found.opsgenie_seconds, 0) as opsgenie_seconds
    from moved
    full join booked on moved.account = booked.account and moved.month = booked.month
    full join found
        on
            coalesce(moved.account, booked.account) = found.account
            and coalesce(moved.month, booked.month) = found.month
)

select
    account,
    month,
    pagerduty_incidents,
    ledger_incidents,
    opsgenie_incidents,
    pagerduty_seconds,
    ledger_seconds,
    opsgenie_seconds,
    pagerduty_incidents = ledger_incidents and ledger_incidents = opsgenie_incidents
    and pagerduty_seconds = ledger_seconds and ledger_seconds = opsgenie_seconds as matches
from sides;
