-- The incidents in whose window a touched deployment is, or was before the change.
insert into touched_incidents (source, account, incident_id)
select
    near.source,
    near.account,
    near.incident_id
from (select distinct service, triggered_at from touched_deployment_times) as changed
cross join dora.current_refresh as refresh
cross join lateral (
    select
        attribution.source,
        attribution.account,
        attribution.incident_id
    from dora.incident_attribution as attribution
    where
        attribution.service = changed.service
        and attribution.opened_at >= changed.triggered_at - refresh.effective_window_after
        and attribution.opened_at <= changed.triggered_at + refresh.effective_window_before
    -- One index range for each instant; joined as a whole, a plan may compare each with each of a busy service.
    offset 0
) as near
on conflict do nothing;
