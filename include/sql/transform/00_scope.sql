-- What this refresh looks at: temporary tables of keys, gone at its end. One of the next two files fills
-- them: 05_scope.full.sql with everything, 05_scope.changes.sql with what was touched since the last run.
-- A table's file then computes the rows of the touched keys from staging, whichever it was, compares them with
-- what is stored, and writes the difference.

-- Incidents that changed themselves or may have: what they are and which services they hit is computed again.
create temporary table changed_incidents (
    source text not null,
    account text not null,
    incident_id text not null
) on commit drop;

-- These and the ones that a deployment touched: what they are attributed to is computed again.
create temporary table touched_incidents (
    source text not null,
    account text not null,
    incident_id text not null
) on commit drop;

-- Either, on the way there: each as often as there are reasons to look at it.
create temporary table found_incidents (
    source text not null,
    account text not null,
    incident_id text not null
) on commit drop;

-- One row per deployment to look at.
create temporary table touched_deployments (
    deployment_source text not null,
    deployment_id text not null
) on commit drop;

-- One row per touched deployment that was eligible in the last refresh, and per one that is now.
create temporary table old_places on commit drop as
select * from dora.eligible_deployments limit 0;

create temporary table new_places on commit drop as
select * from dora.eligible_deployments limit 0;
