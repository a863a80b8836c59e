-- Back to what the rules say.
delete from dora.attribution_overrides
where source = %(source)s and account = %(account)s and incident_id = %(incident_id)s and service = %(service)s
