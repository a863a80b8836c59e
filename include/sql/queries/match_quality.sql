-- What the matches of each service are worth, those with most matches first; service '' is all services together.
with
counted as (
    select
        service,
        matched_following,
        matched_preceding,
        caused_share,
        caused_share_low,
        caused_share_high,
        matched_share,
        expected_chance_match_rate
    from dora.match_quality
    where %(service)s::text is null or service = %(service)s
),

overall as (
    select
        sum(matched_following)::bigint as matched_following,
        sum(matched_preceding)::bigint as matched_preceding
    from counted
    where %(service)s::text is null
    having count(*) > 0
),

all_rows as (
    select * from counted
    union all
    select
        '' as service,
        overall.matched_following,
        overall.matched_preceding,
        caused.caused_share,
        caused.caused_share_low,
        caused.caused_share_high,
        null as matched_share,
        null as expected_chance_match_rate
    from overall
    left join lateral (
        select share.*
        from dora.caused_share(overall.matched_following, overall.matched_preceding) as share
        inner join dora.current_refresh as refresh on refresh.is_symmetric
    ) as caused on true
)

select *
from all_rows
order by matched_following + matched_preceding desc, service asc
