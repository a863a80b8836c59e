-- One row per service with anything to count in a period, those that hurt most first, and what its matches are
-- worth.
select
    metrics.service,
    metrics.deployments,
    metrics.change_failures,
    metrics.change_failure_rate,
    metrics.incidents,
    metrics.open_incidents,
    metrics.mttr_mean_seconds,
    metrics.mttr_median_seconds,
    quality.matched_share,
    quality.expected_chance_match_rate,
    quality.matched_following,
    quality.matched_preceding,
    quality.caused_share,
    quality.caused_share_low,
    quality.caused_share_high
from dora.service_metrics as metrics
left join dora.match_quality as quality using (service)
where
    metrics.grain = %(grain)s
    and metrics.period_start = %(period)s
order by metrics.change_failures desc, metrics.incidents desc, metrics.deployments desc, metrics.service
limit %(limit)s
