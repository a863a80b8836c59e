-- The service that is meant, by its name or its id, in whatever case: as the tables name it.
select service
from dora.match_quality
where service = %(asked)s or dora.service_key(service) = dora.service_key(%(asked)s)
order by service <> %(asked)s, service
limit 1
