-- One row per service that has incidents or eligible deployments: how many of each, of the whole history.
select
    quality.service,
    coalesce(sum(metrics.incidents), 0)::bigint as incidents,
    coalesce(sum(metrics.deployments), 0)::bigint as deployments,
    known.service is not null as is_deployed
from dora.match_quality as quality
left join dora.deployed_services as known using (service)
left join dora.metrics as metrics on quality.service = metrics.service and metrics.grain = 'month'
group by quality.service, known.service
order by incidents desc, deployments desc, quality.service asc
