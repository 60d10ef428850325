-- What people changed, the newest first, before one of them ($1): at most so many ($2).
select row_to_json(listed) as row
from (
    select audit.id, audit.at, audit.who, audit.way, audit.what, audit.subject, audit.detail, audit.failure
    from lshookd.audit
    where $1::bigint is null
       or audit.id < $1
    order by audit.id desc
    limit $2::bigint
) as listed;
