-- Incidents and alerts of OpsGenie or Jira Service Management (JSM), with their parts and timelines.
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
comment on column staging.opsgenie_incidents.updated_at is 'When anything of it was last changed; not used as a recovery time.';
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
comment on column staging.opsgenie_alerts.alias is 'Deduplication key: repeats of an open alert share it.';
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
comment on column staging.opsgenie_alerts.updated_at is 'When anything of it was last changed; not used as a recovery time.';
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
