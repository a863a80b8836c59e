-- dora.deployment_coverage: one row per service with eligible deployments, '' where these name none: for how much time
-- an incident of the service would have one of them in its window.

with
-- Each deployment covers the time from its window's start up to its end, or to the start of the next one's window. All
-- windows are equally long, so that is up to the next deployment, at most a window's length.
in_order as (
    select
        eligible.service,
        eligible.triggered_at,
        lead(eligible.triggered_at) over (partition by eligible.service order by eligible.triggered_at)
        - eligible.triggered_at as until_next
    from touched_services
    inner join dora.eligible_deployments as eligible using (service)
)

select
    in_order.service,
    count(*) as deployments,
    min(in_order.triggered_at) as first_triggered_at,
    max(in_order.triggered_at) as last_triggered_at,
    -- Exact, to the microsecond.
    extract(
        epoch from sum(
            least(in_order.until_next, refresh.effective_window_before + refresh.effective_window_after)
        )
    ) as covered_seconds
from in_order
cross join dora.current_refresh as refresh
group by in_order.service
