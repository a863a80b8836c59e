-- What a service of OpsGenie's or PagerDuty's is called where it is deployed.
insert into dora.service_map (account, service_id, service, reason, decided_by, decided_at)
values (%(account)s, %(service_id)s, %(service)s, %(reason)s, %(decided_by)s, now())
on conflict (account, service_id) do update set
service = excluded.service,
reason = excluded.reason,
decided_by = excluded.decided_by,
decided_at = excluded.decided_at
