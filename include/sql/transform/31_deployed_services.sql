-- dora.deployed_services: one row per service that some deployment, eligible or not, bears.

create temporary table new_deployed_services on commit drop as
with recursive
-- From one name to the next in the index, not by reading every deployment.
names as (
    select min(coalesce(dora.service_key(service), '')) as service from staging.deployments
    union all
    select (
        select min(coalesce(dora.service_key(deployment.service), ''))
        from staging.deployments as deployment
        where coalesce(dora.service_key(deployment.service), '') > names.service
    )
    from names
    where names.service is not null
)

select service from names
where service is not null;

delete from dora.deployed_services
where service not in (select service from new_deployed_services);

insert into dora.deployed_services (service)
select service from new_deployed_services
on conflict do nothing;
