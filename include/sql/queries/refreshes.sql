-- The latest refreshes of the dora tables, those that failed among them: they changed nothing.
select
    is_full,
    window_before,
    window_after,
    direction,
    environments,
    started_at,
    extract(epoch from finished_at - started_at)::double precision as seconds,
    (select count(*) from jsonb_object_keys(checks)) as checks,
    error
from dora.refreshes
order by refresh_id desc
limit 5
