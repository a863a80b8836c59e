-- An incremental refresh: the keys that the triggers put into the queues since the last one. The queues are emptied in
-- the same transaction.

-- The keys of each are unique, so that the files of this directory can add to them with "on conflict do nothing".
create unique index on touched_incidents (incident_id, account, source);
create unique index on touched_deployments (deployment_id, deployment_source);
create unique index on touched_services (service);
create unique index on touched_days (service, day);

with
taken as (
    delete from dora.touched_deployments_queue returning deployment_source, deployment_id, service
),

-- By the service's name before the change, and its name after it.
services as (
    insert into touched_services (service)
    select service from taken
    on conflict do nothing
)

insert into touched_deployments (deployment_source, deployment_id)
select
    deployment_source,
    deployment_id
from taken
on conflict do nothing;

with taken as (
    delete from dora.touched_incidents_queue returning source, account, incident_id
)

insert into touched_incidents (source, account, incident_id)
select
    source,
    account,
    incident_id
from taken
on conflict do nothing;

-- The incidents of a service that was renamed, mapped, or is no longer listed.
with
taken as (
    delete from dora.touched_services_queue returning account, service_id
),

services as (
    select distinct
        account,
        service_id
    from taken
)

insert into touched_incidents (source, account, incident_id)
select
    'opsgenie',
    link.account,
    link.incident_id
from services
inner join staging.opsgenie_incident_services as link using (account, service_id)
union all
select
    'alert',
    alert.account,
    alert.alert_id
from services
inner join staging.opsgenie_alerts as alert on services.account = alert.account and services.service_id = alert.service
union all
select
    'pagerduty',
    incident.account,
    incident.incident_id
from services
inner join staging.pagerduty_incidents as incident using (account, service_id)
on conflict do nothing;

-- An imported incident is the PagerDuty incident.
insert into touched_incidents (source, account, incident_id)
select
    'pagerduty',
    imported_copy.details ->> 'pagerduty_account',
    imported_copy.details ->> 'pagerduty_id'
from touched_incidents as touched
inner join staging.opsgenie_incidents as imported_copy using (account, incident_id)
where touched.source = 'opsgenie' and dora.is_imported(imported_copy.details)
on conflict do nothing;

-- The incidents that an override attributes to a touched deployment, from however far.
insert into touched_incidents (source, account, incident_id)
select
    override.source,
    override.account,
    override.incident_id
from touched_deployments
inner join dora.attribution_overrides as override using (deployment_source, deployment_id)
on conflict do nothing;

-- The incidents of a service whose first deployment came, or whose last one went.
insert into touched_incidents (source, account, incident_id)
select
    attribution.source,
    attribution.account,
    attribution.incident_id
from touched_services as touched
inner join dora.incident_attribution as attribution using (service)
where
    exists (select from dora.deployed_services as known where known.service = touched.service)
    <> exists (
        select from staging.deployments as deployment
        where coalesce(dora.service_key(deployment.service), '') = touched.service
    )
on conflict do nothing;
