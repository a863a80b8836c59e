-- Every service that has deployments, eligible or not.
select service
from dora.deployed_services
where service <> ''
order by service
