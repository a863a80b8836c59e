-- How much is stored of each account that is read from OpsGenie, which ends.
select
    span.account,
    incident.incidents,
    incident.oldest_incident_at,
    reading.on_call_since
from staging.opsgenie_backend_spans as span
cross join lateral (
    select
        count(*) as incidents,
        min(created_at) as oldest_incident_at
    from (
        select account, backend, created_at from staging.opsgenie_incidents
        union all
        select account, backend, created_at from staging.opsgenie_alerts
    ) as stored
    where account = span.account and backend = span.backend
) as incident
cross join lateral (
    select min(read_from) as on_call_since
    from staging.opsgenie_on_call_reads
    where account = span.account
) as reading
where span.backend = 'opsgenie' and upper_inf(span.span)
order by span.account
