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
        fact.opened_at as at,
        fact.recovered_at as until,
        fact.incident_id as id,
        incident.title,
        fact.deployment_id is not null as is_bad,
        fact.status = 'open' as is_open
    from dora.incident_attribution as fact
    inner join dora.incidents as incident using (source, account, incident_id)
    where
        fact.service = %(service)s
        and fact.opened_at >= %(since)s
        and fact.opened_at < %(until)s
    order by fact.opened_at desc
    limit %(limit)s
)
