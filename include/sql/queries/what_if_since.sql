-- From when on: as asked, or from where on there are no more incidents and deployments than can be evaluated in a moment.
select greatest(
    %(since)s,
    (
        select opened_at from dora.incident_attribution
        where opened_at < %(until)s
        order by opened_at desc offset %(incidents)s limit 1
    ),
    (
        select triggered_at from dora.deployment_outcomes
        where triggered_at < %(until)s
        order by triggered_at desc offset %(deployments)s limit 1
    )
) as since
