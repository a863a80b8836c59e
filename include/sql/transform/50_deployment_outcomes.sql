-- dora.deployment_outcomes: one row per eligible deployment; with one or more attributed incidents, however many
-- of their services, it is one change failure.

-- Deployments that changed, and those that incidents which count as something else were or are attributed to;
-- in a full refresh the former are all there are.
create temporary table touched_outcomes on commit drop as
select deployment_source, deployment_id from touched_deployments
union
select deployment_source, deployment_id from old_facts
where deployment_id is not null
union
select deployment_source, deployment_id from changed_facts
where deployment_id is not null and not (select refresh.is_full from dora.current_refresh as refresh);

analyze touched_outcomes;

-- What they counted as before.
create temporary table stored_outcomes on commit drop as
select outcome.*
from touched_outcomes
inner join dora.deployment_outcomes as outcome using (deployment_source, deployment_id);

analyze stored_outcomes;

-- An incident counts once, for however many of its services a user named this deployment.
create temporary table attributed_incidents on commit drop as
select distinct
    fact.deployment_source,
    fact.deployment_id,
    fact.source,
    fact.account,
    fact.incident_id,
    fact.seconds_to_recover
from touched_outcomes
inner join dora.incident_facts as fact using (deployment_source, deployment_id);

analyze attributed_incidents;

create temporary table new_outcomes on commit drop as
with
-- A deployment that did not change itself is as it was.
eligible as (
    select
        now.deployment_source,
        now.deployment_id,
        now.service,
        now.environment,
        now.triggered_at,
        now.commit_sha,
        now.repository,
        now.pr_number,
        now.pr_url,
        now.pr_title
    from touched_deployments
    inner join dora.eligible_now as now using (deployment_source, deployment_id)
    union all
    select
        stored.deployment_source,
        stored.deployment_id,
        stored.service,
        stored.environment,
        stored.triggered_at,
        stored.commit_sha,
        stored.repository,
        stored.pr_number,
        stored.pr_url,
        stored.pr_title
    from stored_outcomes as stored
    where
        not exists (
            select from touched_deployments as touched
            where
                touched.deployment_source = stored.deployment_source
                and touched.deployment_id = stored.deployment_id
        )
),

summed as (
    select
        deployment_source,
        deployment_id,
        count(*) as incident_count,
        -- Whole microseconds: a sum that does not depend on the order of the rows.
        (avg((seconds_to_recover * 1000000)::bigint) / 1000000)::double precision as mttr_seconds
    from attributed_incidents
    group by deployment_source, deployment_id
)

select
    eligible.deployment_source,
    eligible.deployment_id,
    eligible.service,
    eligible.environment,
    eligible.triggered_at,
    summed.incident_count is not null as is_change_failure,
    coalesce(summed.incident_count, 0) as incident_count,
    summed.mttr_seconds,
    eligible.commit_sha,
    eligible.repository,
    eligible.pr_number,
    eligible.pr_url,
    eligible.pr_title
from eligible
left join summed using (deployment_source, deployment_id);

analyze new_outcomes;

delete from dora.deployment_outcomes as stored
using (
    select deployment_source, deployment_id from touched_outcomes
    except
    select deployment_source, deployment_id from new_outcomes
) as gone
where
    stored.deployment_source = gone.deployment_source
    and stored.deployment_id = gone.deployment_id;

insert into dora.deployment_outcomes (
    deployment_source, deployment_id, service, environment, triggered_at, is_change_failure, incident_count,
    mttr_seconds, commit_sha, repository, pr_number, pr_url, pr_title
)
select computed.*
from new_outcomes as computed
left join stored_outcomes as stored using (deployment_source, deployment_id)
where stored.* is distinct from computed.*
order by computed.deployment_id, computed.deployment_source
on conflict (deployment_id, deployment_source) do update set
service = excluded.service,
environment = excluded.environment,
triggered_at = excluded.triggered_at,
is_change_failure = excluded.is_change_failure,
incident_count = excluded.incident_count,
mttr_seconds = excluded.mttr_seconds,
commit_sha = excluded.commit_sha,
repository = excluded.repository,
pr_number = excluded.pr_number,
pr_url = excluded.pr_url,
pr_title = excluded.pr_title;
