-- A matched deployment is an eligible one of the same service, and so a change failure. Returns the attribution
-- rows of which that is not true.
select
    attribution.source,
    attribution.account,
    attribution.incident_id,
    attribution.service,
    attribution.deployment_source,
    attribution.deployment_id
from touched_incidents
inner join dora.incident_attribution as attribution using (source, account, incident_id)
left join dora.deployment_outcomes as outcome
    on
        attribution.deployment_source = outcome.deployment_source
        and attribution.deployment_id = outcome.deployment_id
        and attribution.service = outcome.service
where
    attribution.match_status = 'matched'
    and outcome.is_change_failure is not true
