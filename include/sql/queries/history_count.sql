-- How many rows of the incident history the filters let through, as far as it is worth counting.
select count(*) as found
from (
    select
    from dora.incident_attribution as attribution
    where {filters}
    limit %(most)s
) as counted
