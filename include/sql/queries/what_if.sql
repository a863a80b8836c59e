-- What other windows and the other direction would say of the time from an instant to now.
select *
from dora.what_if(%(since)s, %(until)s)
where %(service)s::text is null or service = %(service)s
