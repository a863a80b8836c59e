-- The cells of dora.metrics that the touched days are in, for the service and for all services together; and all days
-- of the periods of these cells, on which their counts depend.
insert into touched_cells (grain, period_start, service)
select distinct
    period.grain,
    period.period_start,
    named.service
from touched_days as touched
cross join lateral dora.periods_of(touched.day) as period
cross join lateral (values (touched.service), ('')) as named (service);

insert into touched_periods (day, grain, period_start)
select
    touched.period_start + nth as day,
    touched.grain,
    touched.period_start
from (select distinct grain, period_start from touched_cells) as touched
cross join lateral generate_series(
    0,
    case touched.grain
        when 'day' then 0
        when 'week' then 6
        else (touched.period_start + interval '1 month')::date - touched.period_start - 1
    end
) as nth;
