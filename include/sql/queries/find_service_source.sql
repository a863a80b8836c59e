-- What a service of an account is called by its source: a row where the id is known at all.
select
    %(account)s::text as account,
    %(service_id)s::text as service_id,
    coalesce(
        (
            select name from staging.opsgenie_services
            where account = %(account)s and service_id = %(service_id)s
        ),
        (
            select service_name from staging.pagerduty_incidents
            where account = %(account)s and service_id = %(service_id)s
            limit 1
        ),
        (
            select service from staging.opsgenie_alerts
            where account = %(account)s and service = %(service_id)s
            limit 1
        )
    ) as name
where
    exists (select from staging.opsgenie_services where account = %(account)s and service_id = %(service_id)s)
    or exists (select from staging.pagerduty_incidents where account = %(account)s and service_id = %(service_id)s)
    or exists (
        select from staging.opsgenie_incident_services
        where account = %(account)s and service_id = %(service_id)s
    )
    or exists (select from staging.opsgenie_alerts where account = %(account)s and service = %(service_id)s)
    or exists (select from dora.service_map where account = %(account)s and service_id = %(service_id)s)
