-- What staging means: incidents and the deployments they are attributed to, metrics, and what users fill in by hand.
-- include/sql/transform says what each computed table holds. A duration is in seconds; what is not known is null,
-- never 0 or ''.

-- Filled by users

create table dora.pagerduty_priorities (
    account text not null,
    pagerduty_priority text not null,
    priority text not null check (priority in ('P1', 'P2', 'P3', 'P4', 'P5')),
    primary key (account, pagerduty_priority)
);

comment on table dora.pagerduty_priorities is
'Filled by users: P1 to P5 for each priority of a PagerDuty account; the migration and the metrics use it. One row per '
'account and priority.';
comment on column dora.pagerduty_priorities.account is 'The account''s connection id.';
comment on column dora.pagerduty_priorities.pagerduty_priority is 'The name of the priority in PagerDuty.';
comment on column dora.pagerduty_priorities.priority is 'P1 to P5.';

create table dora.service_map (
    account text not null,
    service_id text not null,
    service text not null check (dora.service_key(service) is not null),
    reason text,
    decided_by text,
    decided_at timestamptz default now(),
    primary key (account, service_id),
    -- It is in indexes, whose entries have at most 2,704 bytes. Lower case may be half as long again.
    constraint service_map_service_fits check (octet_length(service) <= 1000),
    constraint service_map_decided_at_in_range check (
        decided_at >= '0001-01-01 00:00:00+00' and decided_at < '10000-01-01 00:00:00+00'
    )
);

comment on table dora.service_map is
'Filled by users: which deployments'' service a service of OpsGenie or PagerDuty meets. One row per account and '
'service.';
comment on column dora.service_map.account is 'The account''s connection id.';
comment on column dora.service_map.service_id is 'Id of the service in OpsGenie, Jira Service Management or PagerDuty.';
comment on column dora.service_map.service is 'Name of the service that its deployments have.';
comment on column dora.service_map.reason is 'Why it was decided so.';
comment on column dora.service_map.decided_by is 'Who decided it.';
comment on column dora.service_map.decided_at is 'When it was decided.';

create table dora.attribution_overrides (
    source text not null check (source in ('opsgenie', 'pagerduty', 'alert')),
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
    constraint attribution_overrides_deployment_fits check (
        octet_length(deployment_source) <= 500 and octet_length(deployment_id) <= 1000
    ),
    constraint attribution_overrides_decided_at_in_range check (
        decided_at >= '0001-01-01 00:00:00+00' and decided_at < '10000-01-01 00:00:00+00'
    )
);

comment on table dora.attribution_overrides is
'Filled by users: which deployment caused an incident; both deployment columns null: none did. One row per incident '
'and service; of several that spell the service differently the latest decision wins.';
comment on column dora.attribution_overrides.service is
'The service of the incident, in any spelling of its name; '''' for an incident without services.';
comment on column dora.attribution_overrides.deployment_source is
'Source of the deployment, as in staging.deployments; null: no deployment caused it.';
comment on column dora.attribution_overrides.deployment_id is
'Id of the deployment at its source; null: no deployment caused it.';
comment on column dora.attribution_overrides.reason is 'Why it was decided so.';
comment on column dora.attribution_overrides.decided_by is 'Who decided it.';
comment on column dora.attribution_overrides.decided_at is 'When it was decided.';

-- Computed by the refresh. In the keys of the large tables ids come first, since they are selective; and where updates
-- leave the indexed columns alone, room in each page spares the indexes a write.

create table dora.incidents (
    source text not null check (source in ('opsgenie', 'pagerduty', 'alert')),
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

create index incidents_opened_day on dora.incidents (dora.utc_day(opened_at));

comment on table dora.incidents is 'One row per real-world incident; an imported one is the PagerDuty incident.';
comment on column dora.incidents.source is 'opsgenie, pagerduty or alert: where the incident was raised.';
comment on column dora.incidents.account is
'The account''s connection id; of an imported incident the PagerDuty account''s.';
comment on column dora.incidents.incident_id is 'Id of the incident at its source.';
comment on column dora.incidents.title is 'Message or title of the incident.';
comment on column dora.incidents.status is
'open, resolved or closed; any other status that the source reports is open.';
comment on column dora.incidents.priority is 'P1 to P5; null where the source''s is none of these.';
comment on column dora.incidents.opened_at is 'When it was created; of an imported incident, in PagerDuty.';
comment on column dora.incidents.acknowledged_at is 'When it was first acknowledged.';
comment on column dora.incidents.recovered_at is 'When it was resolved, or else closed; null while it is open.';
comment on column dora.incidents.closed_at is 'When it was closed.';
comment on column dora.incidents.seconds_to_recover is
'From opened_at to recovered_at; null where that is negative or not known.';
comment on column dora.incidents.web_url is 'Address of the incident''s page at its source.';

-- Ids are compared byte by byte, so that "the smaller" is the same on every server.
create table dora.eligible_deployments (
    deployment_source text not null,
    deployment_id text not null,
    service text not null,
    triggered_at timestamptz not null,
    primary key (deployment_id, deployment_source)
);

create unique index eligible_deployments_in_order on dora.eligible_deployments
(service, triggered_at, deployment_source collate "C", deployment_id collate "C");

comment on table dora.eligible_deployments is
'One row per deployment that counts: it succeeded, in an environment that counts.';
comment on column dora.eligible_deployments.deployment_source is 'As source in staging.deployments.';
comment on column dora.eligible_deployments.service is
'Its service''s name in lower case without outer white space; '''' where it names none.';
comment on column dora.eligible_deployments.triggered_at is 'When it was triggered.';

create table dora.deployed_services (
    service text primary key
);

comment on table dora.deployed_services is 'One row per service with any deployment, eligible or not.';
comment on column dora.deployed_services.service is
'Its name in lower case without outer white space; '''' if some deployment names none.';

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
    opened_at timestamptz not null,
    recovered_at timestamptz,
    seconds_to_recover double precision,
    status text not null,
    priority text,
    primary key (incident_id, account, source, service)
) with (fillfactor = 90);

create index on dora.incident_attribution (service, opened_at);
create index on dora.incident_attribution (opened_at);
create index on dora.incident_attribution (match_status, opened_at);
create index on dora.incident_attribution (opened_at) where status = 'open';
create index on dora.incident_attribution (deployment_id, deployment_source) where deployment_id is not null;
create index incident_attribution_opened_day on dora.incident_attribution (dora.utc_day(opened_at));
create index incident_attribution_recovered_day on dora.incident_attribution (dora.utc_day(recovered_at));

comment on table dora.incident_attribution is
'One row per incident and service, '''' where the incident has none: the deployment it is attributed to.';
comment on column dora.incident_attribution.service is 'The service''s name in dora.';
comment on column dora.incident_attribution.match_status is
'matched; no_deployment_in_window; service_unmapped: neither dora.service_map nor any deployment names the service; '
'no_service: the incident has none; overridden: as dora.attribution_overrides says.';
comment on column dora.incident_attribution.deployment_source is
'Source of the deployment that it is attributed to; null without one.';
comment on column dora.incident_attribution.deployment_id is 'Id of that deployment.';
comment on column dora.incident_attribution.offset_seconds is
'From the deployment to the incident: negative where the deployment came after it.';
comment on column dora.incident_attribution.candidate_count is
'How many eligible deployments of the service are in the window.';

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
create index deployment_outcomes_triggered_day on dora.deployment_outcomes (dora.utc_day(triggered_at));

comment on table dora.deployment_outcomes is 'One row per eligible deployment: what became of it.';
comment on column dora.deployment_outcomes.deployment_source is 'As source in staging.deployments.';
comment on column dora.deployment_outcomes.service is
'The service''s name in dora; '''' where the deployment names none.';
comment on column dora.deployment_outcomes.triggered_at is 'When it was triggered.';
comment on column dora.deployment_outcomes.is_change_failure is 'Whether any incident is attributed to it.';
comment on column dora.deployment_outcomes.incident_count is 'How many incidents are attributed to it.';
comment on column dora.deployment_outcomes.mttr_seconds is
'Mean seconds_to_recover of those that have recovered; null without any.';

create table dora.metrics (
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
    matched_following bigint not null,
    matched_preceding bigint not null,
    unmatched bigint not null,
    primary key (grain, period_start, service)
) with (fillfactor = 90);

comment on table dora.metrics is
'One row per grain (UTC day, week from Monday, month), period and service; service '''' is all services together.';
comment on column dora.metrics.grain is 'day, week or month.';
comment on column dora.metrics.period_start is 'The first day of the period, in UTC; of a week its Monday.';
comment on column dora.metrics.service is
'The service''s name in dora; '''' for all services together, in which an incident counts once.';
comment on column dora.metrics.deployments is 'Eligible deployments triggered in the period.';
comment on column dora.metrics.change_failures is 'Those of them that an incident is attributed to.';
comment on column dora.metrics.change_failure_rate is 'change_failures / deployments; null without deployments.';
comment on column dora.metrics.incidents is 'Incidents opened in the period.';
comment on column dora.metrics.recovered_incidents is 'Incidents that recovered in the period, whenever they opened.';
comment on column dora.metrics.open_incidents is
'Incidents opened in the period that have not recovered, or whose recovery time is not known.';
comment on column dora.metrics.mttr_mean_seconds is
'Mean seconds_to_recover of the incidents that recovered in the period and are attributed to a deployment.';
comment on column dora.metrics.mttr_median_seconds is 'Their median.';
comment on column dora.metrics.mttr_p90_seconds is 'Their 90th percentile.';
comment on column dora.metrics.mttr_all_mean_seconds is
'Mean seconds_to_recover of all incidents that recovered in the period.';
comment on column dora.metrics.mttr_all_median_seconds is 'Their median.';
comment on column dora.metrics.matched_following is
'Of the incidents that opened in the period, those matched to a deployment that came before them.';
comment on column dora.metrics.matched_preceding is 'Of these, those matched to a deployment that came after them.';
comment on column dora.metrics.unmatched is 'Of these, those with no deployment in the window.';

create table dora.deployment_coverage (
    service text primary key,
    deployments bigint not null,
    first_triggered_at timestamptz not null,
    last_triggered_at timestamptz not null,
    covered_seconds numeric not null
);

comment on table dora.deployment_coverage is
'One row per service with eligible deployments: for how much time an incident would have one in its window.';
comment on column dora.deployment_coverage.service is
'The service''s name in dora; '''' for deployments that name none.';
comment on column dora.deployment_coverage.deployments is 'Its eligible deployments.';
comment on column dora.deployment_coverage.first_triggered_at is 'When the first of them was triggered.';
comment on column dora.deployment_coverage.last_triggered_at is 'When the last of them was triggered.';
comment on column dora.deployment_coverage.covered_seconds is
'For how much time an incident would have one of them in its window.';

create table dora.match_quality (
    service text primary key,
    deployments_per_day double precision,
    matched_share double precision,
    expected_chance_match_rate double precision,
    matched_following bigint not null,
    matched_preceding bigint not null,
    caused_share double precision,
    caused_share_low double precision,
    caused_share_high double precision
);

comment on table dora.match_quality is
'One row per service that has incidents or eligible deployments: how much its matches are worth.';
comment on column dora.match_quality.service is 'The service''s name in dora.';
comment on column dora.match_quality.deployments_per_day is
'Eligible deployments per day, from the first to the last of all incidents and deployments.';
comment on column dora.match_quality.matched_share is
'Matched incidents / (matched ones and those with no deployment in the window).';
comment on column dora.match_quality.matched_following is
'Incidents matched to a deployment that came before them or at the same instant.';
comment on column dora.match_quality.matched_preceding is 'Incidents matched to a deployment that came after them.';
comment on column dora.match_quality.caused_share_low is 'Lower bound of caused_share.';
comment on column dora.match_quality.caused_share_high is 'Upper bound of caused_share.';
comment on column dora.match_quality.caused_share is
'The share of the matched incidents that their deployment caused, estimated from how many follow it rather than '
'precede it; caused_share_low and caused_share_high are its Wilson interval at 90 %. Null where the windows before '
'and after differ.';
comment on column dora.match_quality.expected_chance_match_rate is
'How often an incident that has nothing to do with any deployment would match anyway.';
