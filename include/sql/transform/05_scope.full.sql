-- Everything is touched: what staging has, and what the dora tables hold of an earlier state.

delete from dora.touched_incidents_queue;
delete from dora.touched_services_queue;
delete from dora.touched_deployments_queue;
delete from dora.full_refresh_queue;

insert into changed_incidents (source, account, incident_id)
select 'opsgenie', account, incident_id from staging.opsgenie_incidents
union
select 'pagerduty', account, incident_id from staging.pagerduty_incidents
union
select 'pagerduty', pagerduty_account, pagerduty_id from dora.imported_incidents
union
select source, account, incident_id from dora.incidents
union
select source, account, incident_id from dora.incident_facts
union
select source, account, incident_id from dora.incident_attribution;

insert into touched_incidents (source, account, incident_id)
select source, account, incident_id from changed_incidents;

insert into touched_deployments (deployment_source, deployment_id)
select source, deployment_id from staging.deployments
union
select deployment_source, deployment_id from dora.deployment_outcomes;

insert into old_places
select * from dora.eligible_deployments;

insert into new_places (service, triggered_at, deployment_source, deployment_id)
select service, triggered_at, deployment_source, deployment_id from dora.eligible_now;

analyze changed_incidents;
analyze touched_incidents;
analyze touched_deployments;
analyze old_places;
analyze new_places;
