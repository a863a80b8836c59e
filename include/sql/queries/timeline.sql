-- The eligible deployments and the incidents of a service in a span, the newest first.
(
    select
        'deployment' as kind,
        outcome.triggered_at as at,
        null::timestamptz as until,
        outcome.deployment_id as id,
        outcome.pr_title as title,
        outcome.is_change_failure as is_bad,
        false as is_open
    from dora.eligible_deployments as eligible
    inner join dora.deployment_outcomes as outcome using (deployment_source, deployment_id)
    where
        eligible.service = %(service)s
        and eligible.triggered_at >= %(since)s
        and eligible.triggered_at < %(until)s
    order by eligible.triggered_at desc
    limit %(limit)s
)
union all
(
    select
        'incident' as kind,
        attribution.opened_at as at,
        attribution.recovered_at as until,
        attribution.incident_id as id,
        incident.title,
        attribution.deployment_id is not null as is_bad,
        attribution.status = 'open' as is_open
    from dora.incident_attribution as attribution
    inner join dora.incidents as incident using (source, account, incident_id)
    where
        attribution.service = %(service)s
        and attribution.opened_at >= %(since)s
        and attribution.opened_at < %(until)s
    order by attribution.opened_at desc
    limit %(limit)s
)
