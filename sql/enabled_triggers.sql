-- Our triggers on the tables of the search path, each with its function, without those that somebody
-- disabled; and which of the tables that we put triggers on are there.
select array(
           select tgname || ' ' || tgfoid::regproc
           from pg_trigger
           where tgname like 'lshookd\_%'
             and tgenabled in ('O', 'A')
             and pg_table_is_visible(tgrelid)
       ) as triggers,
       array(
           select wanted.name
           from unnest($1::text[]) as wanted (name)
           where to_regclass(quote_ident(wanted.name)) is not null
       ) as relations;
