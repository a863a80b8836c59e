"""A small company in the warehouse, for the pages to show: names of all kinds, hostile ones among them."""

from __future__ import annotations

from pathlib import Path

from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.settings import Settings
from opsgenie_provider.warehouse.connection import Warehouse
from opsgenie_provider.warehouse.schema import upgrade

SQL = Path(__file__).resolve().parents[2] / "include" / "sql"
SCRIPT = "<script>document.title = 'taken'</script>"

# 120 incidents of the last 60 days, every other with a deployment 30 minutes before it; three of them special.
WORLD = f"""
insert into staging.opsgenie_services (account, service_id, name, team_id, raw, synced_at)
select 'opsgenie_default', 'id-' || name, name, 'team-' || name, '{{}}', now()
from (values ('checkout'), ('search')) as service (name);

insert into staging.opsgenie_teams (account, team_id, name, raw, synced_at)
select 'opsgenie_default', 'team-' || name, initcap(name), '{{}}', now()
from (values ('checkout'), ('search')) as service (name);

insert into staging.opsgenie_incidents (
    account, incident_id, message, status, priority, created_at, resolved_at, web_url, raw, synced_at
)
select
    'opsgenie_default', 'incident-' || i,
    case i when 1 then $${SCRIPT}$$ when 2 then '=HYPERLINK("x")' else 'Incident ' || i end,
    case when i % 10 = 0 then 'open' else 'resolved' end,
    'P' || 1 + i % 5,
    date_trunc('minute', now()) - i * interval '12 hours',
    -- When the last but one recovered is not known.
    case when i <> 119 then date_trunc('minute', now()) - i * interval '12 hours' + interval '90 minutes' end,
    case i when 3 then 'javascript:alert(1)' else 'https://example.app.opsgenie.com/incident/detail/' || i end,
    '{{}}', now()
from generate_series(1, 120) as i;

insert into staging.opsgenie_incident_services (account, incident_id, service_id, raw, synced_at)
select 'opsgenie_default', 'incident-' || i, case when i % 3 = 0 then 'id-search' else 'id-checkout' end, '{{}}', now()
from generate_series(1, 120) as i;

insert into staging.deployments (
    source, deployment_id, service, environment, status, triggered_at, commit_sha, repository, pr_number, pr_url,
    pr_title, url, raw, synced_at
)
select
    'github', (1000 + i)::text, case when i % 3 = 0 then 'search' else 'checkout' end, 'production', 'success',
    date_trunc('minute', now()) - i * interval '12 hours' - interval '30 minutes' - (i % 2) * interval '5 hours',
    md5(i::text), 'acme/shop', i, 'https://github.com/acme/shop/pull/' || i, 'Change ' || i,
    'https://github.com/acme/shop/deployments/' || i, '{{}}', now()
from generate_series(1, 120) as i;

insert into staging.opsgenie_schedules (account, schedule_id, name, timezone, enabled, team_id, raw, synced_at)
values ('opsgenie_default', 's', 'Checkout_schedule', 'UTC', true, 'team-checkout', '{{}}', now());
insert into staging.opsgenie_backends (account, backend, first_read_at, last_read_at)
values ('opsgenie_default', 'opsgenie', now() - interval '70 days', now());
insert into staging.opsgenie_on_call_reads (account, schedule_id, read_from, read_at)
values ('opsgenie_default', 's', now() - interval '70 days', now());
insert into staging.opsgenie_rotations (account, schedule_id, rotation_id, name, raw, synced_at)
values ('opsgenie_default', 's', 'r', 'Primary', '{{}}', now());
insert into staging.opsgenie_on_call_periods (
    account, schedule_id, rotation_id, start_at, recipient_id, recipient_type, recipient_name, end_at, raw, synced_at
)
values
('opsgenie_default', 's', 'r', now() - interval '70 days', 'u1', 'user', 'ada@example.com', now() + interval '3 days',
    '{{}}', now()),
('opsgenie_default', 's', 'r', now() + interval '5 days', 'u2', 'user', 'bob@example.com', now() + interval '20 days',
    '{{}}', now());
insert into staging.opsgenie_escalations (account, escalation_id, name, team_id, repeat_count, raw, synced_at)
values ('opsgenie_default', 'e', 'Checkout_escalation', 'team-checkout', 2, '{{}}', now());
insert into staging.opsgenie_escalation_rules (
    account, escalation_id, step, condition, notify_type, delay_seconds, recipient_type, recipient_id,
    recipient_name, raw, synced_at
)
values ('opsgenie_default', 'e', 1, 'if-not-acked', 'default', 300, 'schedule', 's', null, '{{}}', now());

insert into staging.opsgenie_keys (account, key_reach, notes, checked_at)
values ('opsgenie_default', 'account', '{{The key sees less.}}', now());
insert into staging.sync_state (account, stream, watermark_at, last_success_at, rows_changed)
values ('opsgenie_default', 'opsgenie_incidents', now(), now() - interval '3 hours', 7);
insert into staging.rejected_payloads (account, stream, payload, reason, seen_at)
values ('opsgenie_default', 'opsgenie_incidents', '{{"id": 1}}', 'no id', now());
insert into migration.ledger (account, pagerduty_id, state, reason, original_created_at)
values ('pagerduty_default', 'P1', 'planned', null, now()), ('pagerduty_default', 'P2', 'failed', 'refused', now());
"""


def fill(warehouse: Warehouse) -> None:
    """Create the tables, put the company in, and compute the metrics."""
    upgrade(warehouse)
    with warehouse.connection() as connection:
        connection.execute(WORLD)
    follow(warehouse)


def follow(warehouse: Warehouse) -> None:
    """What a run of dora_metrics does."""
    with warehouse.connection() as connection:
        refresh(connection, Settings())
