-- dora.match_counts: one row per service and match_status with any incident, '' where incidents have no service.

delete from dora.match_counts
where (select refresh.is_full from dora.current_refresh as refresh);

insert into dora.match_counts as stored (service, match_status, incidents)
select
    service,
    match_status,
    sum(times) as incidents
from fact_changes
group by service, match_status
having sum(times) <> 0
order by service, match_status
on conflict (service, match_status) do update set
incidents = stored.incidents + excluded.incidents;

delete from dora.match_counts
where incidents = 0;
