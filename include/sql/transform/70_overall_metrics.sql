-- dora.overall_metrics: one row per UTC day, Monday week or month in which a deployment was triggered, or an
-- incident opened or recovered. An incident counts once, whatever services it hit; it is attributed to a
-- deployment if one of its services is.

delete from dora.overall_metrics as stored
using new_metrics as computed
where
    stored.grain = computed.grain
    and stored.period_start = computed.period_start
    and computed.service = ''
    and not computed.has_any;

-- A full refresh computed all there are.
delete from dora.overall_metrics as stored
where
    (select refresh.is_full from dora.current_refresh as refresh)
    and not exists (
        select from new_metrics as computed
        where
            computed.grain = stored.grain
            and computed.period_start = stored.period_start
            and computed.service = ''
    );

insert into dora.overall_metrics (
    grain, period_start, deployments, change_failures, change_failure_rate, incidents,
    recovered_incidents, open_incidents, mttr_mean_seconds, mttr_median_seconds, mttr_p90_seconds,
    mttr_all_mean_seconds, mttr_all_median_seconds
)
select computed.*
from (
    select
        grain,
        period_start,
        deployments,
        change_failures,
        change_failure_rate,
        incidents,
        recovered_incidents,
        open_incidents,
        mttr_mean_seconds,
        mttr_median_seconds,
        mttr_p90_seconds,
        mttr_all_mean_seconds,
        mttr_all_median_seconds
    from new_metrics
    where has_any and service = ''
) as computed
left join dora.overall_metrics as stored using (grain, period_start)
where stored.* is distinct from computed.*
order by computed.grain, computed.period_start
on conflict (grain, period_start) do update set
deployments = excluded.deployments,
change_failures = excluded.change_failures,
change_failure_rate = excluded.change_failure_rate,
incidents = excluded.incidents,
recovered_incidents = excluded.recovered_incidents,
open_incidents = excluded.open_incidents,
mttr_mean_seconds = excluded.mttr_mean_seconds,
mttr_median_seconds = excluded.mttr_median_seconds,
mttr_p90_seconds = excluded.mttr_p90_seconds,
mttr_all_mean_seconds = excluded.mttr_all_mean_seconds,
mttr_all_median_seconds = excluded.mttr_all_median_seconds;
