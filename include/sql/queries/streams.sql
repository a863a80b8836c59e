-- How far each stream of each account was read, and how many of its payloads could not be.
-- It is late without a success for 2 hours, a full read without one for 26 hours: most streams are read every hour, the
-- whole history once a day. PagerDuty is read when somebody migrates, and is never late; nor is what was read from a
-- backend that the account is not read from any more, nor are incidents of an account whose alerts are read in their
-- place, or the other way round.
select
    coalesce(state.account, rejected.account) as account,
    coalesce(state.stream, rejected.stream) as stream,
    state.watermark_at,
    state.last_success_at,
    extract(epoch from now() - state.last_success_at)::double precision as lag_seconds,
    case
        when coalesce(state.stream, rejected.stream) like 'pagerduty%%' then false
        when former.account is not null then false
        when
            exists (
                select from staging.sync_state as other
                where
                    other.account = state.account
                    and case when state.stream like '%%incident%%' then other.stream like '%%alerts'
                        else state.stream like '%%alerts%%' and other.stream like '%%incidents' end
                    and other.last_success_at > state.last_success_at + interval '1 hour'
            )
            then false
        when state.stream like '%%full_read' then now() - state.last_success_at > interval '26 hours'
        else coalesce(now() - state.last_success_at > interval '2 hours', true)
    end as is_late,
    state.rows_changed,
    coalesce(rejected.payloads, 0) as rejected
from staging.sync_state as state
full outer join (
    select
        account,
        stream,
        count(*) as payloads
    from staging.rejected_payloads
    group by account, stream
) as rejected on state.account = rejected.account and state.stream = rejected.stream
left join staging.opsgenie_former_backends as former
    on
        coalesce(state.account, rejected.account) = former.account
        and split_part(coalesce(state.stream, rejected.stream), '_', 1) = former.backend
order by account, stream
