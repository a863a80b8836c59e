-- A matched deployment is an eligible one of the same service, and so a change failure. Returns the attribution
-- rows of which that is not true.
select
    attribution.source,
    attribution.account,
    attribution.incident_id,
    attribution.service,
    attribution.deployment_source,
    attribution.deployment_id
from dora.incident_attribution as attribution
where
    attribution.match_status = 'matched'
    and not exists (
        select from dora.deployment_outcomes as outcome
        where
            outcome.deployment_source = attribution.deployment_source
            and outcome.deployment_id = attribution.deployment_id
            and outcome.service = attribution.service
            and outcome.is_change_failure
    )
