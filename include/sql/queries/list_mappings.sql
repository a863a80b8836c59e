-- What people have said that services are called, the latest first.
select
    mapped.account,
    mapped.service_id,
    mapped.service,
    mapped.reason,
    mapped.decided_by,
    mapped.decided_at,
    listed.name
from dora.service_map as mapped
left join staging.opsgenie_services as listed using (account, service_id)
where
    (%(account)s::text is null or mapped.account = %(account)s)
    and (%(service_id)s::text is null or mapped.service_id = %(service_id)s)
order by mapped.decided_at desc nulls last, mapped.account asc, mapped.service_id asc
limit %(limit)s
