-- The latest refreshes of the dora tables.
select
    is_full,
    window_before,
    window_after,
    direction,
    environments,
    started_at,
    finished_at,
    extract(epoch from finished_at - started_at)::double precision as seconds
from dora.refreshes
order by refresh_id desc
limit 5
