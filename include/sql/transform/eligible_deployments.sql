-- dora.eligible_deployments: one row per deployment that counts: it succeeded, whatever became of it later, in an
-- environment that counts. The settings name these environments, and may name others for a repository.

with
deployments as (
    select
        deployment.source as deployment_source,
        deployment.deployment_id,
        coalesce(dora.service_key(deployment.service), '') as service,
        deployment.triggered_at,
        dora.lower_case(deployment.environment) as environment,
        case
            when lower(deployment.repository) in (select repository from dora.eligible_environments)
                then lower(deployment.repository)
            else ''
        end as repository
    from touched_deployments as touched
    inner join staging.deployments as deployment
        on touched.deployment_source = deployment.source and touched.deployment_id = deployment.deployment_id
    where deployment.status = 'success'
)

select
    deployment_source,
    deployment_id,
    service,
    triggered_at
from deployments
inner join dora.eligible_environments using (repository, environment)
