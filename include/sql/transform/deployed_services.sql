-- dora.deployed_services: one row per service with any deployment, eligible or not; '' if some name none.

select touched.service
from touched_services as touched
where
    exists (
        select from staging.deployments as deployment
        where coalesce(dora.service_key(deployment.service), '') = touched.service
    )
