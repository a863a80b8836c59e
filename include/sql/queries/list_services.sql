-- Every service that has incidents or eligible deployments, by name.
select service
from dora.match_quality
order by service
