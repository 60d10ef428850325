-- Whether there is no such project.
select not exists (select from lshookd.project_rows(array[$1::bigint])) as is_unknown;
