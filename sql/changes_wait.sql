-- The last look before sleeping.
select exists (select from lshookd.change) as waiting;
