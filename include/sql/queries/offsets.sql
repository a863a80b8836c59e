-- How many matched incidents of each service opened in each eighth of the longer window before and after their
-- deployment: bucket -8 is the earliest, 0 begins with the deployment. Of the latest matches only, if there are many.
select
    attribution.service,
    (
        case
            when attribution.offset_seconds < 0 then greatest(-8, floor(attribution.offset_seconds / eighth.seconds))
            else least(7, floor(attribution.offset_seconds / eighth.seconds))
        end
    )::integer as bucket,
    count(*) as matches
from dora.incident_attribution as attribution
cross join (
    select extract(epoch from greatest(effective_window_before, effective_window_after) / 8)::double precision as seconds
    from dora.current_refresh
) as eighth
where
    attribution.match_status = 'matched'
    and (%(service)s::text is null or attribution.service = %(service)s)
    and eighth.seconds > 0
    and attribution.opened_at >= coalesce(
        (
            select latest.opened_at
            from dora.incident_attribution as latest
            where
                latest.match_status = 'matched'
                and (%(service)s::text is null or latest.service = %(service)s)
            order by latest.opened_at desc
            offset %(matches)s
            limit 1
        ),
        '-infinity'
    )
group by attribution.service, bucket
order by attribution.service, bucket
