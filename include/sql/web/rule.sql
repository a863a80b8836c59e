-- The windows and the direction that the tables were made with.
select
    extract(epoch from reach_before)::double precision / 3600 as hours_before,
    extract(epoch from reach_after)::double precision / 3600 as hours_after,
    is_symmetric
from dora.current_refresh
