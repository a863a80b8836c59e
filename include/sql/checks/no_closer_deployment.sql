-- No eligible deployment of the service is closer to an incident than the one it is attributed to, which lies
-- where the offset says, and none is within the window of an incident that matched none; looked up one by one,
-- for about 500 of the incidents. Returns the attribution rows of the sample that are wrong, and what belongs there.
with
sampled as (
    select attribution.*
    from touched_incidents
    inner join dora.incident_attribution as attribution using (source, account, incident_id)
    where
        attribution.match_status in ('matched', 'no_deployment_in_window', 'service_unmapped')
        -- The same incidents for the same tables: a failure can be looked into.
        and hashtext(attribution.incident_id)
        % greatest(1, (select count(*) / 500 from touched_incidents as touched)) = 0
)

select
    sampled.source,
    sampled.account,
    sampled.incident_id,
    sampled.service,
    sampled.deployment_source,
    sampled.deployment_id,
    sampled.offset_seconds,
    closer.deployment_source as closer_source,
    closer.deployment_id as closer_id
from sampled
cross join dora.current_refresh as refresh
left join lateral (
    select
        eligible.deployment_source,
        eligible.deployment_id,
        extract(epoch from sampled.opened_at - eligible.triggered_at)::double precision as offset_seconds
    from dora.eligible_deployments as eligible
    where
        eligible.service = sampled.service
        and eligible.triggered_at >= sampled.opened_at - refresh.effective_window_before
        and eligible.triggered_at <= sampled.opened_at + refresh.effective_window_after
    order by
        greatest(sampled.opened_at - eligible.triggered_at, eligible.triggered_at - sampled.opened_at),
        eligible.triggered_at,
        eligible.deployment_source collate "C",
        eligible.deployment_id collate "C"
    limit 1
) as closer on true
where
    (sampled.deployment_source, sampled.deployment_id, sampled.offset_seconds)
    is distinct from (closer.deployment_source, closer.deployment_id, closer.offset_seconds)
