-- What the data checks of single rows look at after a refresh of what was touched: every row that may have another
-- match, and every row that names a touched deployment. The others are as the run left them that checked them.

create temporary table looked_at_keys on commit drop as
select source, account, incident_id from differing_incidents
union
select attributed.source, attributed.account, attributed.incident_id
from touched_deployments
inner join attributed_incidents as attributed using (deployment_source, deployment_id);

analyze looked_at_keys;

create temporary table looked_at_incidents on commit drop as
select incident.*
from looked_at_keys
inner join dora.incidents as incident using (source, account, incident_id);

analyze looked_at_incidents;

create temporary table looked_at_attribution on commit drop as
select attribution.*
from looked_at_keys
inner join dora.incident_attribution as attribution using (source, account, incident_id);

analyze looked_at_attribution;
