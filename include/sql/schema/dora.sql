-- What staging means: incidents and the deployments they are attributed to, metrics, and what users fill in by hand.
-- include/sql/transform says what each computed table holds. A duration is in seconds; what is not known is null,
-- never 0 or ''.

create schema if not exists dora;

-- Functions

-- dora.lower_case: lower case by Unicode. lower() alone follows the database's locale, and leaves "Ü" as it is
-- where that is C; so it is given a collation of which this server shows that it can do better. Which ones a server
-- has depends on its version and on how it was built: PostgreSQL 18's own, ICU's, 17's own, the C library's.
do $$
declare
    candidate text;
    is_right boolean;
    expression text := 'lower(said)';
begin
    foreach candidate in array array['pg_unicode_fast', 'und-x-icu', 'pg_c_utf8', 'C.utf8', 'C.UTF-8', 'en_US.utf8']
    loop
        begin
            execute format('select lower(%L collate %I) = %L', 'ÜЖ', candidate, 'üж') into is_right;
            if is_right then
                expression := format('lower(said collate %I)', candidate);
                exit;
            end if;
        exception when others then
            -- This server has no such collation, or not for this database's encoding.
            continue;
        end;
    end loop;
    execute format(
        'create function dora.lower_case(said text) returns text language sql immutable parallel safe return %s',
        expression
    );
end
$$;

comment on function dora.lower_case is
'Lower case by Unicode, whatever the locale of the database.';

-- The characters that Unicode calls white space: blanks, tabs, line breaks and no-break spaces among them.
create function dora.service_key(name text) returns text
language sql immutable parallel safe
return nullif(
    dora.lower_case(
        btrim(
            name,
            E'\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a'
            '\u2028\u2029\u202f\u205f\u3000'
        )
    ),
    ''
);

comment on function dora.service_key is
'What a service is called in dora: its name in lower case without outer white space. Two names with the same key are '
'the same service.';

-- The day, the Monday week and the month, in UTC, that an instant counts for.
create function dora.utc_day(instant timestamptz) returns date
language sql immutable parallel safe
return (instant at time zone 'utc')::date;

comment on function dora.utc_day is 'The UTC day of an instant.';

create function dora.periods_of(day date) returns table (grain text, period_start date)
language sql immutable parallel safe
begin atomic
select * from (values
    ('day', day),
    ('week', date_trunc('week', day::timestamp)::date),
    ('month', date_trunc('month', day::timestamp)::date)
) as period (grain, period_start);
end;

comment on function dora.periods_of is 'The three periods that a day lies in: the day, its week from Monday, its month.';

-- PostgreSQL takes words such as "yesterday" for instants, too; these are not what an API says.
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

comment on function dora.instant is 'The instant that an ISO 8601 text says, or null where it says none.';

create function dora.pagerduty_priority(priority text, urgency text) returns text
language sql immutable parallel safe
return case
    when upper(btrim(priority)) in ('P1', 'P2', 'P3', 'P4', 'P5') then upper(btrim(priority))
    when urgency = 'high' then 'P2'
    when urgency = 'low' then 'P4'
end;

comment on function dora.pagerduty_priority is
'P1 to P5 of a PagerDuty incident whose priority has no row in dora.pagerduty_priorities: a priority of such a name '
'is itself; without one, an urgency of high is P2 and of low is P4.';

-- What a deployment causes follows it, chance brings as much before as after: of p, the share of matches that follow
-- their deployment, 2p - 1 look caused. The bounds are those of p's Wilson interval at 90 %.
create function dora.caused_share(matched_following bigint, matched_preceding bigint)
returns table (
    caused_share double precision,
    caused_share_low double precision,
    caused_share_high double precision
)
language sql immutable parallel safe
begin atomic
with
matches as (
    select
        (matched_following + matched_preceding)::double precision as matched,
        1.6448536269514722::double precision ^ 2 as z_squared
),

shares as (
    select
        matched,
        z_squared,
        matched_following / matched as following_share
    from matches
    where matched > 0
),

wilson as (
    select
        following_share,
        (following_share + z_squared / (2 * matched)) / (1 + z_squared / matched) as middle,
        sqrt(z_squared * (following_share * (1 - following_share) / matched + z_squared / (4 * matched ^ 2)))
        / (1 + z_squared / matched) as margin
    from shares
)

select
    greatest(0, 2 * following_share - 1) as caused_share,
    least(1, greatest(0, 2 * (middle - margin) - 1)) as caused_share_low,
    least(1, greatest(0, 2 * (middle + margin) - 1)) as caused_share_high
from wilson;
end;

comment on function dora.caused_share is
'The share of matches that look caused by their deployment, and its bounds at 90 %, where the windows before and after '
'are alike; no row without matches.';

-- Filled by users

create table dora.pagerduty_priorities (
    account text not null,
    pagerduty_priority text not null,
    priority text not null check (priority in ('P1', 'P2', 'P3', 'P4', 'P5')),
    primary key (account, pagerduty_priority)
);

create table dora.service_map (
    account text not null,
    service_id text not null,
    service text not null check (dora.service_key(service) is not null),
    reason text,
    decided_by text,
    decided_at timestamptz default now(),
    primary key (account, service_id),
    constraint service_map_decided_at_in_range check (
        decided_at >= '0001-01-01 00:00:00+00' and decided_at < '10000-01-01 00:00:00+00'
    )
);

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
    constraint attribution_overrides_decided_at_in_range check (
        decided_at >= '0001-01-01 00:00:00+00' and decided_at < '10000-01-01 00:00:00+00'
    )
);

-- Computed by the refresh. In the keys of the large tables ids come first: they tell rows apart; and where updates
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

create table dora.deployed_services (
    service text primary key
);

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

create view dora.service_metrics as
select
    grain,
    period_start,
    service,
    deployments,
    change_failures,
    change_failure_rate,
    incidents,
    recovered_incidents,
    open_incidents,
    mttr_mean_seconds,
    mttr_median_seconds,
    mttr_p90_seconds,
    mttr_all_mean_seconds,
    mttr_all_median_seconds
from dora.metrics
where service <> '';

create view dora.overall_metrics as
select
    grain,
    period_start,
    deployments,
    change_failures,
    change_failure_rate,
    incidents,
    recovered_incidents,
    open_incidents,
    mttr_mean_seconds,
    mttr_median_seconds,
    mttr_p90_seconds,
    mttr_all_mean_seconds,
    mttr_all_median_seconds
from dora.metrics
where service = '';

create table dora.deployment_coverage (
    service text primary key,
    deployments bigint not null,
    first_triggered_at timestamptz not null,
    last_triggered_at timestamptz not null,
    covered_seconds numeric not null
);

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

create view dora.current_refresh as
select
    refresh_id,
    is_full,
    window_before as reach_before,
    case direction when 'before_only' then interval '0' else window_after end as reach_after,
    direction = 'both' and window_before = window_after as is_symmetric
from dora.refreshes
where error is null
order by refresh_id desc
limit 1;

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

-- Imported incidents

create view dora.imported_incidents as
select distinct on (pagerduty_account, pagerduty_id)
    details ->> 'pagerduty_account' as pagerduty_account,
    details ->> 'pagerduty_id' as pagerduty_id,
    account,
    incident_id
from staging.opsgenie_incidents
where
    details ->> 'pagerduty_account' is not null
    and details ->> 'pagerduty_id' is not null
    and deleted_at is null
order by pagerduty_account, pagerduty_id, account collate "C", incident_id collate "C";

create index opsgenie_incidents_imported on staging.opsgenie_incidents
((details ->> 'pagerduty_account'), (details ->> 'pagerduty_id'))
where details ->> 'pagerduty_account' is not null and details ->> 'pagerduty_id' is not null;

create index on staging.opsgenie_incident_services (account, service_id);
create index deployments_service_key on staging.deployments ((coalesce(dora.service_key(service), '')));

-- What was touched since the last refresh; a key may be in a queue many times. They have no index on purpose: a
-- unique one would make writers wait for each other and for a refresh.

create table dora.touched_incidents_queue (
    source text not null,
    account text not null,
    incident_id text not null
);

create table dora.touched_services_queue (
    account text not null,
    service_id text not null
);

create table dora.touched_deployments_queue (
    deployment_source text not null,
    deployment_id text not null,
    service text not null
);

create table dora.full_refresh_queue (
    reason text not null
);

-- Whoever writes what the dora tables are made of, and however, leaves the touched keys in a queue, in the
-- same transaction. One firing per statement, over its transition tables, so that bulk loads stay cheap.

-- Runs the trigger's first argument, an insert that reads the relation touched: the rows, before and after,
-- in which a column of the second argument changed. Runs as its owner, so that a role that may only write
-- to a staging table need not know of the queues; and as its arguments are statements, it is nobody else's.
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
                'where details ->> ''pagerduty_account'' is not null and details ->> ''pagerduty_id'' is not null',
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

-- What another rule would say

-- One row per service ('' is all services together), window of 1, 2, 4 and 8 hours and direction: the change failure
-- rate of the deployments triggered from since up to until, and what became of the incidents opened in that time. What
-- people have decided stays decided. Reads only.
create function dora.what_if(since timestamptz, until timestamptz)
returns table (
    service text,
    window_hours integer,
    direction text,
    deployments bigint,
    change_failures bigint,
    change_failure_rate double precision,
    matched_share double precision,
    matched_following bigint,
    matched_preceding bigint,
    caused_share double precision,
    caused_share_low double precision,
    caused_share_high double precision
)
language sql stable parallel safe
begin atomic
with
-- Incidents and deployments on one time line, which is read once in each direction; at one instant the deployments
-- come first. A deployment may be hit by an incident from outside of the time, up to the longest window away.
events as (
    select
        attribution.service collate "C" as service,
        attribution.opened_at as happened_at,
        true as is_incident,
        attribution.opened_at >= since and attribution.opened_at < until as is_counted
    from dora.incident_attribution as attribution
    where
        attribution.match_status in ('matched', 'no_deployment_in_window')
        and attribution.opened_at >= since - interval '8 hours'
        and attribution.opened_at < until + interval '8 hours'
    union all
    select
        outcome.service collate "C" as service,
        outcome.triggered_at as happened_at,
        false as is_incident,
        false as is_counted
    from dora.deployment_outcomes as outcome
    where
        outcome.triggered_at >= since - interval '16 hours'
        and outcome.triggered_at < until + interval '16 hours'
),

located as (
    select
        events.*,
        max(happened_at) filter (where not is_incident)
            over (partition by service order by happened_at, is_incident rows unbounded preceding)
            as earlier_at,
        min(happened_at) filter (where not is_incident)
            over (partition by service order by happened_at desc, is_incident desc rows unbounded preceding)
            as later_at
    from events
),

incidents as materialized (
    select
        service,
        is_counted,
        earlier_at,
        later_at,
        happened_at - earlier_at as after_earlier,
        later_at - happened_at as before_later
    from located
    where is_incident
),

-- A tie goes to the deployment before the incident.
nearest as (
    select
        service,
        is_counted,
        'both' as direction,
        after_earlier is not null and (before_later is null or after_earlier <= before_later) as is_following,
        case
            when after_earlier is not null and (before_later is null or after_earlier <= before_later) then earlier_at
            else later_at
        end as triggered_at,
        least(after_earlier, before_later) as distance
    from incidents
    union all
    select
        service,
        is_counted,
        'before_only' as direction,
        true as is_following,
        earlier_at as triggered_at,
        after_earlier as distance
    from incidents
),

-- The shortest window in which it matches; none where no window is long enough.
matches as (
    select
        service,
        is_counted,
        direction,
        is_following,
        triggered_at,
        case
            when distance <= interval '1 hour' then 1
            when distance <= interval '2 hours' then 2
            when distance <= interval '4 hours' then 4
            when distance <= interval '8 hours' then 8
        end as window_hours
    from nearest
),

-- A matched deployment is the first of its service at its instant, so that the instant names it.
failed as (
    select
        service,
        direction,
        triggered_at,
        '' as other,
        window_hours
    from matches
    where window_hours is not null and triggered_at >= since and triggered_at < until
    union all
    select
        outcome.service,
        rule.direction,
        outcome.triggered_at,
        case
            when exists (
                select from dora.eligible_deployments as twin
                where
                    twin.service = outcome.service
                    and twin.triggered_at = outcome.triggered_at
                    and (twin.deployment_source collate "C", twin.deployment_id collate "C")
                    < (outcome.deployment_source collate "C", outcome.deployment_id collate "C")
            ) then outcome.deployment_source || ' ' || outcome.deployment_id
            else ''
        end as other,
        0 as window_hours
    from dora.incident_attribution as attribution
    inner join dora.deployment_outcomes as outcome using (deployment_source, deployment_id)
    cross join (values ('both'), ('before_only')) as rule (direction)
    where
        attribution.match_status = 'overridden'
        and outcome.triggered_at >= since
        and outcome.triggered_at < until
),

failures as (
    select
        service,
        direction,
        triggered_at,
        other,
        min(window_hours) as window_hours
    from failed
    group by service, direction, triggered_at, other
),

counts as (
    select
        service,
        direction,
        window_hours,
        count(*) as change_failures,
        0 as incidents,
        0 as matched_following,
        0 as matched_preceding
    from failures
    group by service, direction, window_hours
    union all
    select
        service,
        direction,
        window_hours,
        0 as change_failures,
        count(*) as incidents,
        count(*) filter (where window_hours is not null and is_following) as matched_following,
        count(*) filter (where window_hours is not null and not is_following) as matched_preceding
    from matches
    where is_counted
    group by service, direction, window_hours
),

deployed as (
    select
        outcome.service,
        count(*) as deployments
    from dora.deployment_outcomes as outcome
    where outcome.triggered_at >= since and outcome.triggered_at < until
    group by outcome.service
),

rules as (
    select
        window_hours,
        direction
    from (values (1), (2), (4), (8)) as windows (window_hours)
    cross join (values ('both'), ('before_only')) as directions (direction)
),

by_rule as (
    select
        counts.service,
        rules.window_hours,
        rules.direction,
        0 as deployments,
        sum(counts.change_failures) filter (where counts.window_hours <= rules.window_hours) as change_failures,
        sum(counts.incidents) as incidents,
        sum(counts.matched_following) filter (where counts.window_hours <= rules.window_hours) as matched_following,
        sum(counts.matched_preceding) filter (where counts.window_hours <= rules.window_hours) as matched_preceding
    from counts
    inner join rules using (direction)
    group by counts.service, rules.window_hours, rules.direction
    union all
    select
        deployed.service,
        rules.window_hours,
        rules.direction,
        deployed.deployments,
        0 as change_failures,
        0 as incidents,
        0 as matched_following,
        0 as matched_preceding
    from deployed
    cross join rules
),

totals as (
    select
        coalesce(by_rule.service, '') as service,
        by_rule.window_hours,
        by_rule.direction,
        sum(by_rule.deployments)::bigint as deployments,
        coalesce(sum(by_rule.change_failures), 0)::bigint as change_failures,
        sum(by_rule.incidents)::bigint as incidents,
        coalesce(sum(by_rule.matched_following), 0)::bigint as matched_following,
        coalesce(sum(by_rule.matched_preceding), 0)::bigint as matched_preceding
    from by_rule
    group by grouping sets (
        (by_rule.service, by_rule.window_hours, by_rule.direction), (by_rule.window_hours, by_rule.direction)
    )
    having grouping(by_rule.service) = 1 or by_rule.service <> ''
)

select
    totals.service,
    totals.window_hours,
    totals.direction,
    totals.deployments,
    totals.change_failures,
    totals.change_failures::double precision / nullif(totals.deployments, 0) as change_failure_rate,
    (totals.matched_following + totals.matched_preceding)::double precision / nullif(totals.incidents, 0)
        as matched_share,
    totals.matched_following,
    totals.matched_preceding,
    caused.caused_share,
    caused.caused_share_low,
    caused.caused_share_high
from totals
left join lateral dora.caused_share(totals.matched_following, totals.matched_preceding) as caused
    on totals.direction = 'both'
order by totals.service, totals.direction, totals.window_hours;
end;

comment on function dora.what_if is
'What the change failure rate, the matches and the caused share of the deployments and incidents from one instant up '
'to another would be with windows of 1, 2, 4 and 8 hours on each side, and before the incident only.';

-- Views for people

-- Staging has the deployment: an override may name one that is not eligible. PagerDuty's accounts have no teams here;
-- their services meet OpsGenie's by name.
create view dora.incident_history as
select
    incident.source,
    incident.account,
    incident.incident_id,
    incident.title,
    incident.status,
    incident.priority,
    incident.opened_at,
    incident.acknowledged_at,
    incident.recovered_at,
    incident.closed_at,
    incident.seconds_to_recover,
    incident.web_url,
    attribution.service,
    attribution.deployment_id,
    deployment.triggered_at,
    attribution.offset_seconds,
    deployment.repository,
    deployment.commit_sha,
    deployment.pr_number,
    deployment.pr_url,
    deployment.pr_title,
    team.on_call
from dora.incidents as incident
inner join dora.incident_attribution as attribution using (source, account, incident_id)
left join staging.deployments as deployment
    on
        attribution.deployment_source = deployment.source
        and attribution.deployment_id = deployment.deployment_id
left join lateral (
    select string_agg(distinct period.recipient_name, ', ' order by period.recipient_name) as on_call
    from staging.opsgenie_services as service
    left join dora.service_map as mapped using (account, service_id)
    inner join staging.opsgenie_schedules as schedule using (account, team_id)
    inner join staging.opsgenie_on_call_periods as period using (account, schedule_id)
    where
        coalesce(dora.service_key(mapped.service), dora.service_key(service.name), service.service_id)
        = attribution.service
        and (service.account = incident.account or incident.source = 'pagerduty')
        and schedule.enabled is not false
        and period.start_at <= incident.opened_at
        and period.end_at > incident.opened_at
) as team on true;

create view dora.on_call_now as
select
    period.account,
    team.name as team,
    schedule.name as schedule,
    rotation.name as rotation,
    period.recipient_name,
    period.start_at,
    period.end_at
from staging.opsgenie_on_call_periods as period
left join staging.opsgenie_schedules as schedule using (account, schedule_id)
left join staging.opsgenie_rotations as rotation using (account, schedule_id, rotation_id)
left join staging.opsgenie_teams as team on period.account = team.account and schedule.team_id = team.team_id
where
    period.start_at <= now()
    and period.end_at > now()
    and schedule.enabled is not false;

-- What each holds

comment on table dora.pagerduty_priorities is
'The migration''s mapping: what the priorities of a PagerDuty account are called here. One row per account and priority.';
comment on table dora.service_map is
'Filled by users: which deployments'' service a service of OpsGenie or PagerDuty meets. One row per account and service.';
comment on table dora.attribution_overrides is
'Filled by users: which deployment caused an incident; both deployment columns null: none did. One row per incident and service; of several that spell the service differently the latest decision wins.';
comment on table dora.incidents is
'One row per real-world incident; an imported one is the PagerDuty incident.';
comment on table dora.eligible_deployments is
'One row per deployment that counts: it succeeded, in an environment that counts.';
comment on table dora.deployed_services is
'One row per service with any deployment, eligible or not.';
comment on table dora.incident_attribution is
'One row per incident and service, '''' where the incident has none: the deployment it is attributed to.';
comment on table dora.deployment_outcomes is
'One row per eligible deployment: what became of it.';
comment on table dora.metrics is
'One row per grain (UTC day, week from Monday, month), period and service; service '''' is all services together.';
comment on table dora.deployment_coverage is
'One row per service with eligible deployments: for how much time an incident would have one in its window.';
comment on table dora.match_quality is
'One row per service that has incidents or eligible deployments: how much its matches are worth.';
comment on table dora.refreshes is
'One row per refresh, with the settings that its tables were made with.';
comment on table dora.touched_incidents_queue is
'Incidents touched since the last refresh.';
comment on table dora.touched_services_queue is
'Services renamed, mapped or no longer listed since the last refresh.';
comment on table dora.touched_deployments_queue is
'Deployments touched since the last refresh, under the name of their service before and after.';
comment on table dora.full_refresh_queue is
'What cannot be said by key, and so asks for a full refresh.';
comment on view dora.service_metrics is
'dora.metrics by service.';
comment on view dora.overall_metrics is
'dora.metrics of all services together.';
comment on view dora.current_refresh is
'The refresh that is running or, seen from outside, the last one. A deployment of [opened_at - reach_before, opened_at + reach_after], both ends included, may have caused an incident.';
comment on view dora.eligible_environments is
'The environments that count, in lower case: those of repository '''', or of a repository that has its own.';
comment on view dora.imported_incidents is
'One row per imported PagerDuty incident: its OpsGenie copy, the first by account and id should there be several.';
comment on view dora.incident_history is
'One row per incident and service: its deployment, that deployment''s pull request, and who was on call for the service''s team.';
comment on view dora.on_call_now is
'One row per rotation and recipient on call at this moment, of schedules that are enabled.';
comment on column dora.refreshes.checks is
'The data checks that ran, each with the number of rows it found: 0 where it passed.';
comment on column dora.refreshes.error is
'Why the refresh failed and changed nothing; null where it did not fail.';
comment on column dora.metrics.matched_following is
'Of the incidents that opened in the period, those matched to a deployment that came before them.';
comment on column dora.metrics.matched_preceding is
'Likewise, those matched to a deployment that came after them.';
comment on column dora.metrics.unmatched is
'Likewise, those with no deployment in the window.';
comment on column dora.match_quality.caused_share is
'The share of the matched incidents that their deployment caused, estimated from how many follow it rather than precede it; caused_share_low and caused_share_high are its Wilson interval at 90 %. Null where the windows before and after differ.';
comment on column dora.match_quality.expected_chance_match_rate is
'How often an incident that has nothing to do with any deployment would match anyway.';
