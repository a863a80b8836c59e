-- Whoever writes what the dora tables are made of, and however, leaves the touched keys in a queue, in the
-- same transaction. One firing per statement, over its transition tables, so that bulk loads stay cheap.

-- Runs the trigger's first argument, an insert that reads the relation touched: the rows, before and after,
-- in which a column of the second argument changed. Runs as its owner, so that a role that may only write
-- to a staging table need not know of the queues; and as its arguments are statements, it is nobody else's.
create function dora.note_touched() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    execute 'with touched as (' || case tg_op
        when 'INSERT' then format('select %1$s from new_rows', tg_argv[1])
        when 'DELETE' then format('select %1$s from old_rows', tg_argv[1])
        else format(
            '(select %1$s from old_rows except select %1$s from new_rows) union all '
            '(select %1$s from new_rows except select %1$s from old_rows)',
            tg_argv[1]
        )
    end || ') ' || tg_argv[0];
    return null;
end
$$;

create function dora.note_truncated() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into dora.full_refresh_queue (reason) values (format('%s.%s was truncated', tg_table_schema, tg_table_name));
    return null;
end
$$;

revoke execute on function dora.note_touched() from public;
revoke execute on function dora.note_truncated() from public;

do $$
declare
    watched record;
    event record;
begin
    for watched in
        select * from (values
            -- An incident that was imported is the PagerDuty incident: both keys, of both its versions.
            (
                'staging.opsgenie_incidents',
                'insert into dora.touched_incidents_queue (source, account, incident_id) '
                'select ''opsgenie'', account, incident_id from touched union '
                'select ''pagerduty'', details ->> ''pagerduty_account'', details ->> ''pagerduty_id'' from touched '
                'where details ->> ''pagerduty_account'' is not null and details ->> ''pagerduty_id'' is not null',
                'account, incident_id, message, status, priority, created_at, acknowledged_at, resolved_at, '
                'closed_at, details, web_url, deleted_at'
            ),
            (
                'staging.opsgenie_incident_services',
                'insert into dora.touched_incidents_queue (source, account, incident_id) '
                'select distinct ''opsgenie'', account, incident_id from touched',
                'account, incident_id, service_id'
            ),
            (
                'staging.pagerduty_incidents',
                'insert into dora.touched_incidents_queue (source, account, incident_id) '
                'select distinct ''pagerduty'', account, incident_id from touched',
                'account, incident_id, title, status, urgency, priority, service_id, service_name, created_at, '
                'acknowledged_at, resolved_at, merged_into, web_url'
            ),
            (
                'dora.attribution_overrides',
                'insert into dora.touched_incidents_queue (source, account, incident_id) '
                'select distinct source, account, incident_id from touched',
                'source, account, incident_id, service, deployment_source, deployment_id'
            ),
            (
                'staging.opsgenie_services',
                'insert into dora.touched_services_queue (account, service_id) '
                'select distinct account, service_id from touched',
                'account, service_id, name'
            ),
            (
                'dora.service_map',
                'insert into dora.touched_services_queue (account, service_id) '
                'select distinct account, service_id from touched',
                'account, service_id, service'
            ),
            (
                'staging.deployments',
                'insert into dora.touched_deployments_queue (deployment_source, deployment_id) '
                'select distinct source, deployment_id from touched',
                'source, deployment_id, service, environment, status, triggered_at, commit_sha, repository, '
                'pr_number, pr_url, pr_title'
            ),
            -- Rare, and of every incident with that priority.
            (
                'dora.pagerduty_priorities',
                'insert into dora.full_refresh_queue (reason) '
                'select distinct ''the priorities of '' || account || '' changed'' from touched',
                'account, pagerduty_priority, priority'
            )
        ) as watched (relation, note, columns)
    loop
        for event in
            select * from (values
                ('insert', 'new table as new_rows'),
                ('update', 'old table as old_rows new table as new_rows'),
                ('delete', 'old table as old_rows')
            ) as event (name, rows)
        loop
            execute format(
                'create trigger dora_%1$s after %1$s on %2$s referencing %3$s '
                'for each statement execute function dora.note_touched(%4$L, %5$L)',
                event.name, watched.relation, event.rows, watched.note, watched.columns
            );
        end loop;
        execute format(
            'create trigger dora_truncate after truncate on %s '
            'for each statement execute function dora.note_truncated()',
            watched.relation
        );
    end loop;
end
$$;
