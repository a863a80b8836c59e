-- What a person knows better about an incident and service.
insert into dora.attribution_overrides (
    source, account, incident_id, service, deployment_source, deployment_id, reason, decided_by, decided_at
)
values (
    %(source)s, %(account)s, %(incident_id)s, %(service)s, %(deployment_source)s, %(deployment_id)s, %(reason)s,
    %(decided_by)s, now()
)
on conflict (source, account, incident_id, service) do update set
deployment_source = excluded.deployment_source,
deployment_id = excluded.deployment_id,
reason = excluded.reason,
decided_by = excluded.decided_by,
decided_at = excluded.decided_at
