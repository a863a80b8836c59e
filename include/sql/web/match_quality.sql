-- What the matches of each service are worth, those with most matches first; service '' is all services together.
with
overall as (
    select
        sum(matched_following)::bigint as matched_following,
        sum(matched_preceding)::bigint as matched_preceding
    from dora.match_quality
)

select
    quality.service,
    quality.matched_following,
    quality.matched_preceding,
    quality.caused_share,
    quality.caused_share_low,
    quality.caused_share_high,
    quality.matched_share,
    quality.expected_chance_match_rate,
    quality.deployments_per_day
from dora.match_quality as quality
where %(service)s::text is null or quality.service = %(service)s
union all
select
    '' as service,
    overall.matched_following,
    overall.matched_preceding,
    caused.caused_share,
    caused.caused_share_low,
    caused.caused_share_high,
    null as matched_share,
    null as expected_chance_match_rate,
    null as deployments_per_day
from overall
left join lateral (
    select share.*
    from dora.caused_share(overall.matched_following, overall.matched_preceding) as share
    inner join dora.current_refresh as refresh on refresh.is_symmetric
) as caused on true
where %(service)s::text is null
order by matched_following + matched_preceding desc nulls last, service asc
