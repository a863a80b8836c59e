-- The scope of a refresh: temporary tables of the keys whose rows it computes again, gone at its end. The files of
-- include/sql/transform read them, and so serve both a full refresh, for which full.sql fills them with all keys there
-- are, and one of what was touched, for which the other files of this directory do.

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

-- Where touched deployments are on the time line of their services, and where they were.
create temporary table touched_places (
    service text not null,
    triggered_at timestamptz not null
) on commit drop;

-- The days of services on which something counts, or counted, that was touched.
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
