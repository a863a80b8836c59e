-- What it means: the dora tables, and what users fill in by hand. include/sql/transform fills the rest.
-- A duration is in seconds; what is not known is null, never 0 or ''.

create schema if not exists dora;

-- How a service is called in dora: its name in lower case without outer blanks.
create function dora.service_key(name text) returns text
language sql immutable parallel safe
return nullif(lower(btrim(name)), '');

-- The day, the Monday week and the month, in UTC, that an instant counts for.
create function dora.utc_day(instant timestamptz) returns date
language sql immutable parallel safe
return (instant at time zone 'utc')::date;

create function dora.utc_week(instant timestamptz) returns date
language sql immutable parallel safe
return date_trunc('week', instant at time zone 'utc')::date;

create function dora.utc_month(instant timestamptz) returns date
language sql immutable parallel safe
return date_trunc('month', instant at time zone 'utc')::date;

-- The periods that a day lies in.
create function dora.periods_of(day date) returns table (grain text, period_start date)
language sql immutable parallel safe
begin atomic
select * from (values
    ('day', day),
    ('week', date_trunc('week', day::timestamp)::date),
    ('month', date_trunc('month', day::timestamp)::date)
) as period (grain, period_start);
end;

-- The instant that an ISO 8601 text from outside says, or null where it says none: PostgreSQL takes
-- words such as "yesterday" for instants, too.
create function dora.instant(said text) returns timestamptz
language plpgsql stable parallel safe
set timezone = 'UTC'
as $$
begin
    return case when said ~ '^\d{4}-\d{2}-\d{2}' then said::timestamptz end;
exception when data_exception then
    return null;
end
$$;

-- P1 to P5 of a PagerDuty incident whose priority has no row in dora.pagerduty_priorities: a priority
-- of such a name is itself; without one, an urgency of high is P2 and of low is P4.
create function dora.pagerduty_priority(priority text, urgency text) returns text
language sql immutable parallel safe
return case
    when upper(btrim(priority)) in ('P1', 'P2', 'P3', 'P4', 'P5') then upper(btrim(priority))
    when urgency = 'high' then 'P2'
    when urgency = 'low' then 'P4'
end;

-- The migration's mapping: what the priorities of a PagerDuty account are called here.
create table dora.pagerduty_priorities (
    account text not null,
    pagerduty_priority text not null,
    priority text not null check (priority in ('P1', 'P2', 'P3', 'P4', 'P5')),
    primary key (account, pagerduty_priority)
);

-- Filled by users: which deployments' service a service of OpsGenie or PagerDuty meets.
create table dora.service_map (
    account text not null,
    service_id text not null,
    service text not null check (dora.service_key(service) is not null),
    primary key (account, service_id)
);

-- Filled by users: which deployment caused an incident; both columns null: none did.
create table dora.attribution_overrides (
    source text not null check (source in ('opsgenie', 'pagerduty')),
    account text not null,
    incident_id text not null,
    service text not null,
    deployment_source text,
    deployment_id text,
    reason text,
    decided_by text,
    decided_at timestamptz default now(),
    primary key (source, account, incident_id, service),
    constraint attribution_overrides_whole_deployment check ((deployment_source is null) = (deployment_id is null)),
    constraint attribution_overrides_decided_at_in_range check (
        decided_at >= '0001-01-01 00:00:00+00' and decided_at < '10000-01-01 00:00:00+00'
    )
);

-- One row per real-world incident. In the keys of the large tables ids come first: they tell rows apart; and where
-- updates leave the indexed columns alone, room in each page spares the indexes a write.
create table dora.incidents (
    source text not null check (source in ('opsgenie', 'pagerduty')),
    account text not null,
    incident_id text not null,
    title text,
    status text not null check (status in ('open', 'resolved', 'closed')),
    priority text check (priority in ('P1', 'P2', 'P3', 'P4', 'P5')),
    opened_at timestamptz not null,
    acknowledged_at timestamptz,
    recovered_at timestamptz,
    closed_at timestamptz,
    seconds_to_recover double precision check (seconds_to_recover >= 0),
    web_url text,
    primary key (incident_id, account, source)
);

create index on dora.incidents (opened_at);

-- One row per incident and service, '' where the incident has none.
create table dora.incident_attribution (
    source text not null,
    account text not null,
    incident_id text not null,
    service text not null,
    match_status text not null check (
        match_status in ('matched', 'no_deployment_in_window', 'service_unmapped', 'no_service', 'overridden')
    ),
    deployment_source text,
    deployment_id text,
    offset_seconds double precision,
    candidate_count bigint not null,
    primary key (incident_id, account, source, service)
) with (fillfactor = 90);

-- One row per eligible deployment.
create table dora.deployment_outcomes (
    deployment_source text not null,
    deployment_id text not null,
    service text not null,
    environment text not null,
    triggered_at timestamptz not null,
    is_change_failure boolean not null,
    incident_count bigint not null,
    mttr_seconds double precision,
    commit_sha text,
    repository text,
    pr_number bigint,
    pr_url text,
    pr_title text,
    primary key (deployment_id, deployment_source)
) with (fillfactor = 90);

create index on dora.deployment_outcomes (triggered_at);

-- One row per UTC day, Monday week or month and service with anything to count.
create table dora.service_metrics (
    grain text not null check (grain in ('day', 'week', 'month')),
    period_start date not null,
    service text not null,
    deployments bigint not null,
    change_failures bigint not null,
    change_failure_rate double precision,
    incidents bigint not null,
    recovered_incidents bigint not null,
    open_incidents bigint not null,
    mttr_mean_seconds double precision,
    mttr_median_seconds double precision,
    mttr_p90_seconds double precision,
    mttr_all_mean_seconds double precision,
    mttr_all_median_seconds double precision,
    primary key (grain, period_start, service)
) with (fillfactor = 90);

-- One row per UTC day, Monday week or month with anything to count.
create table dora.overall_metrics (
    grain text not null check (grain in ('day', 'week', 'month')),
    period_start date not null,
    deployments bigint not null,
    change_failures bigint not null,
    change_failure_rate double precision,
    incidents bigint not null,
    recovered_incidents bigint not null,
    open_incidents bigint not null,
    mttr_mean_seconds double precision,
    mttr_median_seconds double precision,
    mttr_p90_seconds double precision,
    mttr_all_mean_seconds double precision,
    mttr_all_median_seconds double precision,
    primary key (grain, period_start)
);

-- One row per service that has incidents or eligible deployments.
create table dora.match_quality (
    service text primary key,
    deployments_per_day double precision,
    matched_share double precision,
    expected_chance_match_rate double precision
);
