-- When deliveries of a webhook ($1) ended that ended after another ($4), which did at a moment ($2), and their numbers: as
-- many ($3) as there are next to that.
select listed.ended_at, listed.id
from (
    (
        select ended_at, id
        from lshookd.delivery
        where webhook_id = $1::bigint
          and state = 'delivered'
          and ended_at >= $2::timestamptz
          and (ended_at > $2 or id > $4::bigint)
        order by ended_at, id
        limit $3::bigint
    )
    union all
    (
        select dead.ended_at, dead.id
        from (
            select ended_at, id
            from lshookd.delivery
            where webhook_id = $1
              and state = 'dead'
            order by id desc
            limit 2000
        ) as dead
        where dead.ended_at > $2
           or (dead.ended_at = $2 and dead.id > $4)
        order by dead.ended_at, dead.id
        limit $3
    )
    union all
    (
        select discarded.ended_at, discarded.id
        from (
            select webhook_id, ended_at, id
            from lshookd.delivery
            where state in ('cancelled', 'skipped')
              and ended_at >= $2
              and (ended_at > $2 or id > $4)
            order by ended_at, id
            limit 5000
        ) as discarded
        where discarded.webhook_id = $1
        order by discarded.ended_at, discarded.id
        limit $3
    )
) as listed
order by listed.ended_at, listed.id
limit $3;
