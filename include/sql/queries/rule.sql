-- The windows and the direction that the tables were made with.
select
    extract(epoch from effective_window_before)::double precision / 3600 as hours_before,
    extract(epoch from effective_window_after)::double precision / 3600 as hours_after,
    is_symmetric
from dora.current_refresh
