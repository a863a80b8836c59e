-- Back to the service's own name.
delete from dora.service_map
where account = %(account)s and service_id = %(service_id)s
