-- dora.match_quality: one row per service that has incidents or eligible deployments: how much its matches are worth.
-- Over the span from the earliest to the latest of all openings and eligible deployments, whatever their service.

with
span as (
    select
        starts_at,
        ends_at,
        nullif(extract(epoch from ends_at - starts_at), 0)::double precision as seconds
    from (
        select
            least(
                (select min(opened_at) from dora.incident_attribution),
                (select min(first_triggered_at) from dora.deployment_coverage)
            ) as starts_at,
            greatest(
                (select max(opened_at) from dora.incident_attribution),
                (select max(last_triggered_at) from dora.deployment_coverage)
            ) as ends_at
    ) as ends
),

matches as (
    select
        service,
        sum(matched_following)::bigint as matched_following,
        sum(matched_preceding)::bigint as matched_preceding,
        sum(matched_following + matched_preceding)::double precision as matched,
        sum(unmatched)::double precision as unmatched
    from dora.metrics
    where grain = 'month' and service <> ''
    group by service
),

-- What is covered before the span starts, or after it ends, is not part of it.
covered as (
    select
        coverage.service,
        coverage.deployments,
        coverage.covered_seconds
        - greatest(
            0, extract(epoch from span.starts_at - coverage.first_triggered_at + refresh.effective_window_after)
        )
        - greatest(
            0, extract(epoch from coverage.last_triggered_at + refresh.effective_window_before - span.ends_at)
        )
            as seconds
    from dora.deployment_coverage as coverage
    cross join span
    cross join dora.current_refresh as refresh
    where coverage.service <> ''
)

select
    service,
    coalesce(covered.deployments, 0) * 86400 / span.seconds as deployments_per_day,
    matches.matched / nullif(matches.matched + matches.unmatched, 0) as matched_share,
    coalesce(covered.seconds, 0) / span.seconds as expected_chance_match_rate,
    coalesce(matches.matched_following, 0) as matched_following,
    coalesce(matches.matched_preceding, 0) as matched_preceding,
    caused.caused_share,
    caused.caused_share_low,
    caused.caused_share_high
from matches
full outer join covered using (service)
cross join span
cross join dora.current_refresh as refresh
-- A cause comes before its effect; chance knows no direction, where the windows before and after are alike.
left join lateral dora.caused_share(matches.matched_following, matches.matched_preceding) as caused
    on refresh.is_symmetric
