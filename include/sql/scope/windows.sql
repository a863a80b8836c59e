-- The incidents in whose window a touched deployment is, or was.
insert into touched_incidents (source, account, incident_id)
select
    attribution.source,
    attribution.account,
    attribution.incident_id
from (select distinct service, triggered_at from touched_places) as place
cross join dora.current_refresh as refresh
inner join dora.incident_attribution as attribution
    on
        place.service = attribution.service
        and attribution.opened_at >= place.triggered_at - refresh.reach_after
        and attribution.opened_at <= place.triggered_at + refresh.reach_before
on conflict do nothing;
