-- The name in dora of a service that has deployments.
select service
from dora.deployed_services
where service = dora.service_key(%(service)s)
