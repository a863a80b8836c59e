-- Back to what the rules say: every override of the incident and service, whichever way it spells the service.
delete from dora.attribution_overrides
where
    source = %(source)s
    and account = %(account)s
    and incident_id = %(incident_id)s
    and coalesce(dora.service_key(service), '') = coalesce(dora.service_key(%(service)s), '')
