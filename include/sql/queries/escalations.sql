-- The steps of the escalation policies, by team.
select
    escalation.account,
    escalation.escalation_id,
    escalation.name,
    team.name as team,
    escalation.repeat_count,
    escalation.repeat_wait_seconds,
    rule.step,
    rule.condition,
    rule.notify_type,
    rule.delay_seconds,
    rule.recipient_type,
    coalesce(
        rule.recipient_name, recipient.full_name, recipient.username, schedule.name, recipient_team.name,
        rule.recipient_id
    ) as recipient_name
from staging.opsgenie_escalations as escalation
left join staging.opsgenie_teams as team using (account, team_id)
left join staging.opsgenie_escalation_rules as rule using (account, escalation_id)
left join staging.opsgenie_users as recipient
    on rule.account = recipient.account and rule.recipient_id = recipient.user_id
left join staging.opsgenie_schedules as schedule
    on rule.account = schedule.account and rule.recipient_id = schedule.schedule_id
left join staging.opsgenie_teams as recipient_team
    on rule.account = recipient_team.account and rule.recipient_id = recipient_team.team_id
where not exists (
    select from staging.opsgenie_former_backends as former
    where former.account = escalation.account and former.backend = escalation.backend
)
order by team.name nulls last, escalation.name, escalation.account, escalation.escalation_id, rule.step
limit 2000
