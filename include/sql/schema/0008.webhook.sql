-- Deployments that a webhook tells of: deliveries that were taken, and when each deployment was last heard of.

-- The time of the newest event in a row; an older event does not overwrite a newer one.
alter table staging.deployments add column event_at timestamptz
constraint deployments_event_at_in_range check (
    event_at >= '0001-01-01 00:00:00+00' and event_at < '10000-01-01 00:00:00+00'
);

comment on column staging.deployments.event_at is
'When the newest event happened that the webhook or GitHub told of; null where neither did.';

-- One row per delivery that was taken, so that a repeat changes nothing; kept for 30 days.
create table staging.webhook_deliveries (
    sender text not null,
    delivery_id text not null,
    source text not null,
    deployment_id text not null,
    received_at timestamptz not null default now(),
    primary key (sender, delivery_id)
);

create index on staging.webhook_deliveries (received_at);
