-- What uninstalling would lose.
select (select count(*) from lshookd.delivery where state = 'pending') as pending,
       (select count(*) from lshookd.delivery where state = 'dead') as dead,
       (select count(*) from lshookd.change) + (select count(*) from lshookd.change_set_aside) as changes,
       (select count(*) from lshookd.secret) as secrets,
       (select count(*) from lshookd.attempt) as attempts;
