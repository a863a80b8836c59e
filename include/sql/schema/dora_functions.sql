-- What the dora tables and their refresh are computed with.

create schema if not exists dora;

-- dora.lower_case: lower case by Unicode. lower() alone follows the database's locale, and leaves "Ü" as it is
-- where that is C; so it is given a collation of which this server shows that it can do better. Which ones a server
-- has depends on its version and on how it was built: PostgreSQL 18's own, ICU's, 17's own, the C library's.
do $$
declare
    candidate text;
    is_right boolean;
    expression text := 'lower(value)';
begin
    foreach candidate in array array['pg_unicode_fast', 'und-x-icu', 'pg_c_utf8', 'C.utf8', 'C.UTF-8', 'en_US.utf8']
    loop
        begin
            execute format('select lower(%L collate %I) = %L', 'ÜЖ', candidate, 'üж') into is_right;
            if is_right then
                expression := format('lower(value collate %I)', candidate);
                exit;
            end if;
        exception when others then
            -- This server has no such collation, or not for this database's encoding.
            continue;
        end;
    end loop;
    execute format(
        'create function dora.lower_case(value text) returns text language sql immutable parallel safe return %s',
        expression
    );
end
$$;

comment on function dora.lower_case is
'Lower case by Unicode, whatever the locale of the database.';

-- The characters that Unicode calls white space: blanks, tabs, line breaks and no-break spaces among them.
create function dora.service_key(name text) returns text
language sql immutable parallel safe
return nullif(
    dora.lower_case(
        btrim(
            name,
            E'\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a'
            '\u2028\u2029\u202f\u205f\u3000'
        )
    ),
    ''
);

comment on function dora.service_key is
'What a service is called in dora: its name in lower case without outer white space. Two names with the same key are '
'the same service.';

-- The day, the Monday week and the month, in UTC, that an instant counts for.
create function dora.utc_day(instant timestamptz) returns date
language sql immutable parallel safe
return (instant at time zone 'utc')::date;

comment on function dora.utc_day is 'The UTC day of an instant.';

create function dora.periods_of(day date) returns table (grain text, period_start date)
language sql immutable parallel safe
begin atomic
select * from (values
    ('day', day),
    ('week', date_trunc('week', day::timestamp)::date),
    ('month', date_trunc('month', day::timestamp)::date)
) as period (grain, period_start);
end;

comment on function dora.periods_of is 'The three periods that a day lies in: the day, its week from Monday, its month.';

-- PostgreSQL also accepts words such as "yesterday", which no API sends, and years that most clients cannot read.
create function dora.parse_timestamp(value text) returns timestamptz
language plpgsql stable parallel safe
set timezone = 'UTC'
as $$
declare
    instant timestamptz;
begin
    instant := case when value ~ '^\d{4}-\d{2}-\d{2}' then value::timestamptz end;
    return case
        when instant >= '0001-01-01 00:00:00+00' and instant < '10000-01-01 00:00:00+00' then instant
    end;
exception when data_exception then
    return null;
end
$$;

comment on function dora.parse_timestamp is 'The instant of an ISO 8601 text; null where the text is something else.';

create function dora.pagerduty_priority(priority text, urgency text) returns text
language sql immutable parallel safe
return case
    when upper(btrim(priority)) in ('P1', 'P2', 'P3', 'P4', 'P5') then upper(btrim(priority))
    when urgency = 'high' then 'P2'
    when urgency = 'low' then 'P4'
end;

comment on function dora.pagerduty_priority is
'P1 to P5 of a PagerDuty incident whose priority has no row in dora.pagerduty_priorities: a priority of such a name '
'is itself; without one, an urgency of high is P2 and of low is P4.';

-- What a deployment causes follows it, chance brings as much before as after: of p, the share of matches that follow
-- their deployment, 2p - 1 look caused. The bounds are those of p's Wilson interval at 90 %.
create function dora.caused_share(matched_following bigint, matched_preceding bigint)
returns table (
    caused_share double precision,
    caused_share_low double precision,
    caused_share_high double precision
)
language sql immutable parallel safe
begin atomic
with
matches as (
    select
        (matched_following + matched_preceding)::double precision as matched,
        1.6448536269514722::double precision ^ 2 as z_squared
),

shares as (
    select
        matched,
        z_squared,
        matched_following / matched as following_share
    from matches
    where matched > 0
),

wilson as (
    select
        following_share,
        (following_share + z_squared / (2 * matched)) / (1 + z_squared / matched) as middle,
        sqrt(z_squared * (following_share * (1 - following_share) / matched + z_squared / (4 * matched ^ 2)))
        / (1 + z_squared / matched) as margin
    from shares
)

select
    greatest(0, 2 * following_share - 1) as caused_share,
    least(1, greatest(0, 2 * (middle - margin) - 1)) as caused_share_low,
    least(1, greatest(0, 2 * (middle + margin) - 1)) as caused_share_high
from wilson;
end;

comment on function dora.caused_share is
'The share of matches that look caused by their deployment, and its bounds at 90 %, where the windows before and after '
'are alike; no row without matches.';
