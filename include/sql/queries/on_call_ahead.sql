-- The periods of the coming two weeks by team, schedule and rotation; and, without a rotation, the gaps in which
-- nobody of a schedule is on call. A schedule ends where the latest read of it did.
with
ahead as (
    select
        schedule.account,
        schedule.schedule_id,
        coalesce(schedule.name, schedule.schedule_id) as schedule,
        team.name as team,
        tstzrange(now(), least(now() + interval '14 days', reading.read_at + interval '15 days')) as span
    from staging.opsgenie_schedules as schedule
    inner join staging.opsgenie_on_call_reads as reading using (account, schedule_id)
    left join staging.opsgenie_teams as team using (account, team_id)
    where
        schedule.enabled is not false
        and reading.read_at + interval '15 days' > now()
        and not exists (
            select from staging.opsgenie_former_backends as former
            where former.account = schedule.account and former.backend = schedule.backend
        )
    order by team.name nulls last, schedule.name, schedule.schedule_id
    limit 100
),

periods as (
    select
        ahead.*,
        coalesce(rotation.name, period.rotation_id) as rotation,
        coalesce(period.recipient_name, period.recipient_id) as recipient_name,
        tstzrange(period.start_at, period.end_at) * ahead.span as lasts
    from ahead
    inner join staging.opsgenie_on_call_periods as period using (account, schedule_id)
    left join staging.opsgenie_rotations as rotation using (account, schedule_id, rotation_id)
    where period.end_at > lower(ahead.span) and period.start_at < upper(ahead.span)
),

gaps as (
    select
        ahead.*,
        unnest(
            tstzmultirange(ahead.span)
            - coalesce(
                (
                    select range_agg(periods.lasts)
                    from periods
                    where periods.account = ahead.account and periods.schedule_id = ahead.schedule_id
                ),
                '{}'
            )
        ) as lasts
    from ahead
)

select
    account,
    team,
    schedule,
    schedule_id,
    rotation,
    recipient_name,
    lower(lasts) as start_at,
    upper(lasts) as end_at
from periods
union all
select
    account,
    team,
    schedule,
    schedule_id,
    null as rotation,
    null as recipient_name,
    lower(lasts) as start_at,
    upper(lasts) as end_at
from gaps
order by team nulls last, schedule, schedule_id, account, rotation nulls first, start_at, recipient_name
