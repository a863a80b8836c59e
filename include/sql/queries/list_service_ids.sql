-- The ids that services of these names have in OpsGenie, its alerts and PagerDuty: the keys of dora.service_map.
with
listed as (
    select
        account,
        service_id,
        known.name,
        named.service
    from dora.service_names as named
    left join staging.opsgenie_services as known using (account, service_id)
),

of_pagerduty as (
    select distinct
        account,
        service_id,
        service_name as name
    from staging.pagerduty_incidents
    where service_id is not null
),

-- Alerts say a name, which is the id, too.
of_alerts as (
    select distinct
        account,
        service as service_id,
        service as name
    from staging.opsgenie_alerts
    where service is not null
),

known as (
    select
        account,
        service_id,
        name,
        service
    from listed
    union
    select
        named.account,
        named.service_id,
        coalesce(listed.name, named.name) as name,
        coalesce(listed.service, dora.service_key(named.name), named.service_id) as service
    from (
        select * from of_pagerduty
        union all
        select * from of_alerts
    ) as named
    left join listed using (account, service_id)
),

-- Of a service that is not listed, its id is its name.
unlisted as (
    select distinct
        attribution.account,
        named.service as service_id,
        null as name,
        named.service
    from unnest(%(services)s::text[]) as named (service)
    cross join lateral (
        select account from dora.incident_attribution
        where service = named.service and source <> 'pagerduty'
        order by opened_at desc
        limit 1
    ) as attribution
    where named.service not in (select service from known where service is not null)
)

select * from known
where service in (select unnest(%(services)s::text[]))
union all
select * from unlisted
order by service, account, service_id
