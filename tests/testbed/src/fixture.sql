-- Makes rows of Label Studio's tables for tests, whatever columns its version has: what is not
-- given and may not be null gets a plain value.
create schema fixture;

create function fixture.rows(relation text, given jsonb, quantity integer default 1) returns bigint[]
    language plpgsql
as $$
declare
    columns text;
    plain   jsonb;
    ids     bigint[];
begin
    select string_agg(quote_ident(attname), ', ' order by attnum),
           jsonb_object_agg(attname, case
               when atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'float8'::regtype) then '0'::jsonb
               when atttypid = 'bool'::regtype then 'false'::jsonb
               when atttypid = 'timestamptz'::regtype then to_jsonb(clock_timestamp())
               when atttypid = 'jsonb'::regtype then '{}'::jsonb
               else '""'::jsonb
           end) filter (where attnotnull)
    into columns, plain
    from pg_attribute
    where attrelid = relation::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attname <> 'id';
    execute format(
        'with made as (
             insert into %1$I (%2$s)
             select %2$s from generate_series(1, $2), jsonb_populate_record(null::%1$I, $1)
             returning id
         )
         select array_agg(id order by id) from made',
        relation, columns
    ) into ids using plain || given, quantity;
    return ids;
end
$$;
