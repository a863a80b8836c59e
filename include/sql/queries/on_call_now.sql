-- Who is on call at this moment.
select
    on_call.account,
    on_call.team,
    on_call.schedule,
    on_call.rotation,
    on_call.recipient_name,
    on_call.start_at,
    on_call.end_at
from dora.on_call_now as on_call
order by on_call.team nulls last, on_call.schedule, on_call.rotation, on_call.recipient_name
limit 500
