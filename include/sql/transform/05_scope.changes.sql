-- What was touched since the last refresh, taken out of the queues: they are empty again if this commits.
-- Nothing is written to the dora tables yet, so they still say what was.

with taken as (
    delete from dora.touched_incidents_queue returning source, account, incident_id
)

insert into found_incidents (source, account, incident_id)
select source, account, incident_id from taken;

-- A service was renamed, mapped, or is no longer listed: the incidents that hit it.
with taken as (
    delete from dora.touched_services_queue returning account, service_id
),

services as (
    select distinct account, service_id from taken
)

insert into found_incidents (source, account, incident_id)
select 'opsgenie', hit.account, hit.incident_id
from services inner join staging.opsgenie_incident_services as hit using (account, service_id)
union all
select 'pagerduty', hit.account, hit.incident_id
from services inner join staging.pagerduty_incidents as hit using (account, service_id);

analyze found_incidents;

-- An imported incident stands under its PagerDuty key.
insert into found_incidents (source, account, incident_id)
select 'pagerduty', imported.pagerduty_account, imported.pagerduty_id
from found_incidents as found
inner join dora.imported_incidents as imported using (account, incident_id)
where found.source = 'opsgenie';

insert into changed_incidents (source, account, incident_id)
select distinct source, account, incident_id from found_incidents;

analyze changed_incidents;

with taken as (
    delete from dora.touched_deployments_queue returning deployment_source, deployment_id
)

insert into touched_deployments (deployment_source, deployment_id)
select distinct deployment_source, deployment_id from taken;

analyze touched_deployments;

-- The outcomes, by their key, say what was eligible and where it lay.
insert into old_places (service, triggered_at, deployment_source, deployment_id)
select outcome.service, outcome.triggered_at, outcome.deployment_source, outcome.deployment_id
from touched_deployments
inner join dora.deployment_outcomes as outcome using (deployment_source, deployment_id);

insert into new_places (service, triggered_at, deployment_source, deployment_id)
select eligible.service, eligible.triggered_at, eligible.deployment_source, eligible.deployment_id
from touched_deployments
inner join dora.eligible_now as eligible using (deployment_source, deployment_id);

analyze old_places;
analyze new_places;

-- Incidents within reach of a place that a deployment left or came to. An incident that itself changed is
-- found anyway, so where the others lie is known from the last refresh.
with
places as (
    (select * from old_places except select * from new_places)
    union
    (select * from new_places except select * from old_places)
),

stretches as (
    select
        places.service,
        places.triggered_at - refresh.reach_after as starts,
        places.triggered_at + refresh.reach_before as ends
    from places
    cross join dora.current_refresh as refresh
),

-- The stretches of a busy service overlap. All are equally long, so one that does not reach the one before
-- it reaches none before: joined into stretches that are apart, they meet each incident once.
numbered as (
    select
        service,
        starts,
        ends,
        count(*) filter (where is_apart) over (partition by service order by starts) as nth
    from (
        select
            service,
            starts,
            ends,
            coalesce(starts > lag(ends) over (partition by service order by starts), false) as is_apart
        from stretches
    ) as in_order
),

joined as (
    select
        service,
        min(starts) as starts,
        max(ends) as ends
    from numbered
    group by service, nth
)

insert into found_incidents (source, account, incident_id)
select hit.source, hit.account, hit.incident_id
from joined
cross join lateral (
    select source, account, incident_id
    from dora.incident_facts
    where
        incident_facts.service = joined.service
        and incident_facts.opened_at >= joined.starts
        and incident_facts.opened_at <= joined.ends
    -- One index range for each stretch; joined as a whole, a plan may compare each with each.
    offset 0
) as hit;

-- Incidents that an override attributes to a touched deployment, from however far.
insert into found_incidents (source, account, incident_id)
select override.source, override.account, override.incident_id
from touched_deployments
inner join dora.attribution_overrides as override using (deployment_source, deployment_id);

-- Incidents of a service whose name deployments began or ceased to bear: it is unmapped no longer, or now.
-- The names are found by hopping from one to the next in the index, not by reading every deployment.
with recursive
names as (
    select min(coalesce(dora.service_key(service), '')) as service from staging.deployments
    union all
    select (
        select min(coalesce(dora.service_key(deployment.service), ''))
        from staging.deployments as deployment
        where coalesce(dora.service_key(deployment.service), '') > names.service
    )
    from names
    where names.service is not null
),

changed as (
    select service
    from (select service from names where service is not null) as borne
    full outer join dora.deployed_services as known using (service)
    where borne.service is null or known.service is null
)

insert into found_incidents (source, account, incident_id)
select hit.source, hit.account, hit.incident_id
from changed
inner join dora.incident_facts as hit using (service);

insert into touched_incidents (source, account, incident_id)
select distinct source, account, incident_id from found_incidents;

analyze touched_incidents;
