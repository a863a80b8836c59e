-- The cells of dora.metrics that the touched days are in, for the service and for all services together.
insert into touched_cells (cell, grain, period_start, service, day)
select
    touched.cell,
    touched.grain,
    touched.period_start,
    touched.service,
    touched.period_start + nth as day
from (
    select
        row_number() over () as cell,
        found.*
    from (
        select
            period.grain,
            period.period_start,
            named.service
        from touched_days as touched
        cross join lateral dora.periods_of(touched.day) as period
        cross join lateral (values (touched.service), ('')) as named (service)
        group by period.grain, period.period_start, named.service
    ) as found
) as touched
cross join lateral generate_series(
    0,
    case touched.grain
        when 'day' then 0
        when 'week' then 6
        else (touched.period_start + interval '1 month')::date - touched.period_start - 1
    end
) as nth;
