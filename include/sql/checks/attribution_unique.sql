-- One row per incident and service. Returns the incidents and services that have several.
select
    source,
    account,
    incident_id,
    service,
    count(*) as rows_found
from dora.incident_attribution as attribution
group by incident_id, account, source, service
having count(*) > 1
