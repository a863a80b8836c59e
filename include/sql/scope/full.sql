-- A full refresh: the keys of everything that staging has. Rows of dora with other keys are deleted by the applier.

delete from dora.touched_incidents_queue;
delete from dora.touched_services_queue;
delete from dora.touched_deployments_queue;
delete from dora.full_refresh_queue;

-- An imported incident is the PagerDuty incident.
insert into touched_incidents (source, account, incident_id)
select
    'opsgenie',
    account,
    incident_id
from staging.opsgenie_incidents
where not dora.is_imported(details)
union all
select
    'alert',
    account,
    alert_id
from staging.opsgenie_alerts
union all
select
    'pagerduty',
    account,
    incident_id
from staging.pagerduty_incidents
union all
select
    'pagerduty',
    pagerduty_account,
    pagerduty_id
from dora.imported_incidents
where is_only_copy;

insert into touched_deployments (deployment_source, deployment_id)
select
    source,
    deployment_id
from staging.deployments;

insert into touched_services (service)
select distinct coalesce(dora.service_key(named.service), '')
from (select distinct service from staging.deployments) as named;
