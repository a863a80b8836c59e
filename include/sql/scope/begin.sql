-- The scope of a refresh: temporary tables of the keys whose rows it computes again, gone at its end. The files of
-- include/sql/transform read touched_incidents, touched_deployments, touched_services and touched_periods, so that the
-- same SELECT serves both kinds of refresh. In a full one, full.sql and all_periods.sql fill these four with all keys;
-- in an incremental one, touched.sql begins with the queues and the other files add what depends on these keys.

create temporary table touched_incidents (
    source text not null,
    account text not null,
    incident_id text not null
) on commit drop;

create temporary table touched_deployments (
    deployment_source text not null,
    deployment_id text not null
) on commit drop;

-- By their names in dora, '' for deployments that name none.
create temporary table touched_services (
    service text not null
) on commit drop;

-- The instants at which touched deployments of a service were triggered, before the change and after it.
create temporary table touched_deployment_times (
    service text not null,
    triggered_at timestamptz not null
) on commit drop;

-- The days on which something that was touched counts for a service, or did before.
create temporary table touched_days (
    service text not null,
    day date not null
) on commit drop;

-- The cells of dora.metrics that these days are in; service '' is all services together.
create temporary table touched_cells (
    grain text not null,
    period_start date not null,
    service text not null
) on commit drop;

-- The days of the periods of these cells; a day is in up to three of them.
create temporary table touched_periods (
    day date not null,
    grain text not null,
    period_start date not null
) on commit drop;
