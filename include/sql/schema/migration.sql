-- PagerDuty's history on its way into OpsGenie: what was read, what is planned, what became of it.
-- Times are timestamptz in UTC; durations are in seconds; what is not known is null.

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

comment on table staging.pagerduty_log_entries is 'Log entries of PagerDuty incidents, one row per entry.';
comment on column staging.pagerduty_log_entries.account is 'The Airflow connection of the PagerDuty account.';
comment on column staging.pagerduty_log_entries.incident_id is 'PagerDuty''s id of the incident.';
comment on column staging.pagerduty_log_entries.entry_id is 'PagerDuty''s id of the entry.';
comment on column staging.pagerduty_log_entries.entry_type is
'As received: acknowledge_log_entry, resolve_log_entry, ...';
comment on column staging.pagerduty_log_entries.event_at is 'When it happened.';
comment on column staging.pagerduty_log_entries.raw is 'The payload as received.';
comment on column staging.pagerduty_log_entries.synced_at is 'When the row was written last.';

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

comment on table staging.pagerduty_notes is 'Notes of PagerDuty incidents, one row per note.';
comment on column staging.pagerduty_notes.account is 'The Airflow connection of the PagerDuty account.';
comment on column staging.pagerduty_notes.incident_id is 'PagerDuty''s id of the incident.';
comment on column staging.pagerduty_notes.note_id is 'PagerDuty''s id of the note.';
comment on column staging.pagerduty_notes.author is 'Name of the user, rule or service that wrote it.';
comment on column staging.pagerduty_notes.content is 'Its text.';
comment on column staging.pagerduty_notes.created_at is 'When it was written.';
comment on column staging.pagerduty_notes.raw is 'The payload as received.';
comment on column staging.pagerduty_notes.synced_at is 'When the row was written last.';

create table staging.pagerduty_detail_reads (
    account text not null,
    incident_id text not null,
    version text not null,
    with_notes boolean not null,
    synced_at timestamptz not null,
    primary key (account, incident_id)
);

comment on table staging.pagerduty_detail_reads is
'The version of each incident that its log entries and notes were read for; with another one they are due.';
comment on column staging.pagerduty_detail_reads.account is 'The Airflow connection of the PagerDuty account.';
comment on column staging.pagerduty_detail_reads.incident_id is 'PagerDuty''s id of the incident.';
comment on column staging.pagerduty_detail_reads.version is 'Hash of what changes whenever its details do.';
comment on column staging.pagerduty_detail_reads.with_notes is 'Whether notes were read, too.';
comment on column staging.pagerduty_detail_reads.synced_at is 'When the row was written last.';

create table staging.pagerduty_services (
    account text not null,
    service_id text not null,
    name text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, service_id)
);

comment on table staging.pagerduty_services is 'PagerDuty services.';
comment on column staging.pagerduty_services.account is 'The Airflow connection of the PagerDuty account.';
comment on column staging.pagerduty_services.service_id is 'PagerDuty''s id of the service.';
comment on column staging.pagerduty_services.name is 'Its name.';
comment on column staging.pagerduty_services.raw is 'The payload as received.';
comment on column staging.pagerduty_services.synced_at is 'When the row was written last.';

create table staging.pagerduty_teams (
    account text not null,
    team_id text not null,
    name text,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, team_id)
);

comment on table staging.pagerduty_teams is 'PagerDuty teams.';
comment on column staging.pagerduty_teams.account is 'The Airflow connection of the PagerDuty account.';
comment on column staging.pagerduty_teams.team_id is 'PagerDuty''s id of the team.';
comment on column staging.pagerduty_teams.name is 'Its name.';
comment on column staging.pagerduty_teams.raw is 'The payload as received.';
comment on column staging.pagerduty_teams.synced_at is 'When the row was written last.';

create table staging.pagerduty_priorities (
    account text not null,
    priority_id text not null,
    name text,
    position integer not null,
    raw jsonb not null,
    synced_at timestamptz not null,
    primary key (account, priority_id)
);

comment on table staging.pagerduty_priorities is 'The priorities of a PagerDuty account, in its own order.';
comment on column staging.pagerduty_priorities.account is 'The Airflow connection of the PagerDuty account.';
comment on column staging.pagerduty_priorities.priority_id is 'PagerDuty''s id of the priority.';
comment on column staging.pagerduty_priorities.name is 'Its name.';
comment on column staging.pagerduty_priorities.position is 'Its place in the order; 1 is the most severe.';
comment on column staging.pagerduty_priorities.raw is 'The payload as received.';
comment on column staging.pagerduty_priorities.synced_at is 'When the row was written last.';

create schema if not exists migration;

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
    refused boolean not null default false,
    primary key (account, pagerduty_id),
    constraint ledger_state_known check (
        state in ('planned', 'submitting', 'submitted', 'created', 'resolved', 'done', 'skipped', 'failed')
    ),
    constraint ledger_created_has_id check (
        state not in ('created', 'resolved', 'done') or opsgenie_incident_id is not null
    )
);

comment on table migration.ledger is
'What is planned for each PagerDuty incident and what was done with it. It outlives both services.';
comment on column migration.ledger.account is 'The Airflow connection of the PagerDuty account.';
comment on column migration.ledger.pagerduty_id is 'PagerDuty''s id of the incident.';
comment on column migration.ledger.state is
'planned, submitting (the request to create is about to be sent), submitted (it was accepted), created, '
'resolved, done, skipped or failed.';
comment on column migration.ledger.reason is 'Why it is skipped or failed.';
comment on column migration.ledger.opsgenie_request_id is 'OpsGenie''s id of the request to create.';
comment on column migration.ledger.opsgenie_incident_id is 'OpsGenie''s id of the incident.';
comment on column migration.ledger.payload is
'What is sent (create, notes, resolve), and all that PagerDuty said (source).';
comment on column migration.ledger.original_created_at is 'When the incident was created in PagerDuty.';
comment on column migration.ledger.original_resolved_at is 'When it was resolved in PagerDuty.';
comment on column migration.ledger.seconds_to_recover is
'original_resolved_at minus original_created_at; null where that is negative or not known.';
comment on column migration.ledger.attempts is 'How often a request to create was sent.';
comment on column migration.ledger.last_error is 'The last error, also of a row that was tried again since.';
comment on column migration.ledger.updated_at is 'When the row changed last.';
comment on column migration.ledger.notes_done is 'How many of the payload''s notes exist in OpsGenie.';
comment on column migration.ledger.note_sent is 'The next note may exist in OpsGenie, too.';
comment on column migration.ledger.note_request_id is 'OpsGenie''s id of the request to add it.';
comment on column migration.ledger.refused is
'OpsGenie has refused to create it: it is tried again, but after all others.';

-- Two PagerDuty incidents never share an OpsGenie incident.
create unique index on migration.ledger (opsgenie_incident_id) where opsgenie_incident_id is not null;
create index on migration.ledger (account, state);

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

comment on table migration.opsgenie_incidents is
'What the last verification found in OpsGenie, one row per imported incident.';
comment on column migration.opsgenie_incidents.account is 'The Airflow connection of the PagerDuty account.';
comment on column migration.opsgenie_incidents.opsgenie_incident_id is 'OpsGenie''s id of the incident.';
comment on column migration.opsgenie_incidents.pagerduty_id is 'Its detail pagerduty_id.';
comment on column migration.opsgenie_incidents.original_created_at is 'Its detail pagerduty_created_at.';
comment on column migration.opsgenie_incidents.seconds_to_recover is 'Its detail seconds_to_recover.';
comment on column migration.opsgenie_incidents.status is 'open, resolved or closed.';
comment on column migration.opsgenie_incidents.raw is 'The payload as received.';
comment on column migration.opsgenie_incidents.read_at is 'When it was read.';

create view migration.parity as
with pagerduty as (
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

ledger_rows as (
    select
        account,
        date_trunc('month', original_created_at at time zone 'utc')::date as month,
        count(*) as ledger_incidents,
        coalesce(sum(seconds_to_recover), 0) as ledger_seconds
    from migration.ledger
    where state = 'done'
    group by 1, 2
),

opsgenie as (
    select
        account,
        date_trunc('month', original_created_at at time zone 'utc')::date as month,
        count(*) as opsgenie_incidents,
        coalesce(sum(seconds_to_recover), 0) as opsgenie_seconds
    from migration.opsgenie_incidents
    group by 1, 2
),

by_month as (
    select
        coalesce(pagerduty.account, ledger_rows.account, opsgenie.account) as account,
        coalesce(pagerduty.month, ledger_rows.month, opsgenie.month) as month,
        coalesce(pagerduty.pagerduty_incidents, 0) as pagerduty_incidents,
        coalesce(ledger_rows.ledger_incidents, 0) as ledger_incidents,
        coalesce(opsgenie.opsgenie_incidents, 0) as opsgenie_incidents,
        coalesce(pagerduty.pagerduty_seconds, 0) as pagerduty_seconds,
        coalesce(ledger_rows.ledger_seconds, 0) as ledger_seconds,
        coalesce(opsgenie.opsgenie_seconds, 0) as opsgenie_seconds
    from pagerduty
    full join ledger_rows on pagerduty.account = ledger_rows.account and pagerduty.month = ledger_rows.month
    full join opsgenie
        on
            coalesce(pagerduty.account, ledger_rows.account) = opsgenie.account
            and coalesce(pagerduty.month, ledger_rows.month) = opsgenie.month
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
from by_month;

comment on view migration.parity is
'PagerDuty, the ledger and OpsGenie by month: what there is to move, what was moved, what the last '
'verification read back.';
comment on column migration.parity.account is 'The Airflow connection of the PagerDuty account.';
comment on column migration.parity.month is 'The first day of the UTC month of the original creation.';
comment on column migration.parity.pagerduty_incidents is 'Incidents in PagerDuty that are not skipped.';
comment on column migration.parity.ledger_incidents is 'Ledger rows that are done.';
comment on column migration.parity.opsgenie_incidents is 'Incidents that the last verification found.';
comment on column migration.parity.pagerduty_seconds is 'Sum of their seconds to recover in PagerDuty.';
comment on column migration.parity.ledger_seconds is 'The same sum in the ledger.';
comment on column migration.parity.opsgenie_seconds is 'The same sum of the details in OpsGenie.';
comment on column migration.parity.matches is 'Whether all three agree.';
