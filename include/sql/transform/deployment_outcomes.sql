-- dora.deployment_outcomes: one row per eligible deployment.
-- A deployment with at least one incident attributed to it is one change failure, however many incidents there are.

with
-- An incident counts once, for however many of its services it is attributed to this deployment.
attributed as (
    select distinct
        attribution.deployment_source,
        attribution.deployment_id,
        attribution.source,
        attribution.account,
        attribution.incident_id,
        attribution.seconds_to_recover
    from touched_deployments
    inner join dora.incident_attribution as attribution using (deployment_source, deployment_id)
),

failures as (
    select
        deployment_source,
        deployment_id,
        count(*) as incident_count,
        -- In whole microseconds, whose sum does not depend on the order of the rows.
        (avg((seconds_to_recover * 1000000)::bigint) / 1000000)::double precision as mttr_seconds
    from attributed
    group by deployment_source, deployment_id
)

select
    eligible.deployment_source,
    eligible.deployment_id,
    eligible.service,
    deployment.environment,
    eligible.triggered_at,
    coalesce(failure.incident_count, 0) > 0 as is_change_failure,
    coalesce(failure.incident_count, 0) as incident_count,
    failure.mttr_seconds,
    deployment.commit_sha,
    deployment.repository,
    deployment.pr_number,
    deployment.pr_url,
    deployment.pr_title
from touched_deployments
inner join dora.eligible_deployments as eligible using (deployment_source, deployment_id)
inner join staging.deployments as deployment
    on eligible.deployment_source = deployment.source and eligible.deployment_id = deployment.deployment_id
left join failures as failure
    on
        eligible.deployment_source = failure.deployment_source
        and eligible.deployment_id = failure.deployment_id
