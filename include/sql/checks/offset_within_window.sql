-- A matched deployment lies within the window, both ends included, and a row that is neither matched nor
-- overridden names none. Returns the attribution rows of which that is not true.
select
    attribution.source,
    attribution.account,
    attribution.incident_id,
    attribution.service,
    attribution.match_status,
    attribution.offset_seconds
from touched_incidents
inner join dora.incident_attribution as attribution using (source, account, incident_id)
cross join dora.current_refresh as refresh
where
    (
        attribution.match_status = 'matched'
        and (
            attribution.deployment_id is null
            or attribution.candidate_count < 1
            or attribution.offset_seconds is null
            or attribution.offset_seconds > extract(epoch from refresh.effective_window_before)
            or attribution.offset_seconds < -extract(epoch from refresh.effective_window_after)
        )
    )
    or (
        attribution.match_status not in ('matched', 'overridden')
        and (attribution.deployment_id is not null or attribution.candidate_count > 0)
    )
