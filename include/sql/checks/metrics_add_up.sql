-- Each grain counts every deployment, incident and recovery once. Returns the grains whose sums are not those of
-- the tables that they were made from.
select
    grain.name as grain,
    summed.*,
    deployed.*,
    opened.*
from (values ('day'), ('week'), ('month')) as grain (name)
cross join lateral (
    select
        coalesce(sum(deployments), 0) as summed_deployments,
        coalesce(sum(change_failures), 0) as summed_change_failures,
        coalesce(sum(incidents), 0) as summed_incidents,
        coalesce(sum(open_incidents), 0) as summed_open_incidents,
        coalesce(sum(recovered_incidents), 0) as summed_recovered_incidents
    from dora.metrics
    where metrics.grain = grain.name and metrics.service = ''
) as summed
cross join (
    select
        count(*) as deployments,
        count(*) filter (where is_change_failure) as change_failures
    from dora.deployment_outcomes
) as deployed
cross join (
    select
        count(*) as incidents,
        count(*) filter (where recovered_at is null) as open_incidents,
        count(recovered_at) as recovered_incidents
    from dora.incidents
) as opened
where
    (
        summed.summed_deployments,
        summed.summed_change_failures,
        summed.summed_incidents,
        summed.summed_open_incidents,
        summed.summed_recovered_incidents
    ) is distinct from (
        deployed.deployments,
        deployed.change_failures,
        opened.incidents,
        opened.open_incidents,
        opened.recovered_incidents
    )
