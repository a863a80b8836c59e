-- dora.eligible_deployments: one row per eligible deployment, in the order in which attribution looks for them.

-- Which deployments left their places, and which came to new ones.
create temporary table gone_places on commit drop as
select * from old_places
except
select * from new_places;

create temporary table come_places on commit drop as
select * from new_places
except
select * from old_places;

analyze gone_places;
analyze come_places;

delete from dora.eligible_deployments as stored
using gone_places as gone
where
    stored.service = gone.service
    and stored.triggered_at = gone.triggered_at
    and stored.deployment_source = gone.deployment_source
    and stored.deployment_id = gone.deployment_id;

-- In order, so that the deployments of a service lie side by side.
insert into dora.eligible_deployments (service, triggered_at, deployment_source, deployment_id)
select
    service,
    triggered_at,
    deployment_source,
    deployment_id
from come_places
order by service, triggered_at, deployment_source collate "C", deployment_id collate "C";
