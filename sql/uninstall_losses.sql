-- What uninstalling would lose.
select (select count(*) from lshookd.delivery where state = 'pending') as pending,
       (select count(*) from lshookd.delivery where state = 'dead') as dead,
       (select count(*) from lshookd.change) as changes,
       (select count(*) from lshookd.attempt) as attempts;
