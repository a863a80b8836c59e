-- A deployment by its key.
select
    source,
    deployment_id
from staging.deployments
where source = %(source)s and deployment_id = %(deployment_id)s
