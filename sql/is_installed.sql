-- Whether a history of migrations is there.
select to_regclass('lshookd.migration') is not null as installed;
