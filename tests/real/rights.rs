//! Nobody gains a right by lshookd: what those can do who share its database.
//!
//! Label Studio's tables belong to a role of their own here, as they do where lshookd has roles of its own, and that
//! role is the attacker.

use std::collections::BTreeSet;

use anyhow::Result;
use lshookd_testbed::postgres::Database;
use tokio_postgres::Client;

use crate::test_env::{TestEnv, label_studio_database};

/// What planted code does: it notes as whom it runs, and what that role can get at.
const SPY: &str = r#"
    create schema spy;
    grant usage, create on schema spy to public;
    create table spy.loot (place text, who text, reads_secrets boolean, writes_changes boolean);
    grant insert on spy.loot to public;
    create function spy.look(place text) returns boolean language plpgsql as $$
    begin
        insert into spy.loot values (
            place,
            current_user,
            has_table_privilege(current_user, 'lshookd.secret', 'select'),
            has_table_privilege(current_user, 'lshookd.delivery', 'insert')
        );
        return true;
    exception when others then
        return true;
    end $$;
    grant execute on function spy.look to public;
"#;

/// A database whose tables belong to a role that is not lshookd's, and a connection as that role.
struct Tenant {
    env: TestEnv,
    owner: Client,
}

async fn tenant(label: &str) -> Result<Tenant> {
    let database = label_studio_database(label).await?;
    let role = database.name.clone();
    let admin = database.connect().await?;
    admin
        .batch_execute(&format!(
            "create role {role}; grant all on schema public to {role}; grant create on database {role} to {role};
             do $$ declare each record; begin
                 for each in select oid::regclass as name from pg_class
                             where relnamespace = 'public'::regnamespace and relkind = 'r' loop
                     execute format('alter table %s owner to {role}', each.name);
                 end loop;
             end $$"
        ))
        .await?;
    let env = TestEnv::new_in(database).await?;
    env.webhook("/project", "{}").await?;
    env.run(&format!("grant usage on schema fixture to {role}")).await?;
    let owner = env.database.connect().await?;
    owner.batch_execute(&format!("set role {role}")).await?;
    owner.batch_execute(SPY).await?;
    Ok(Tenant { env, owner })
}

impl Tenant {
    /// The roles that planted code ran as, and whether one of them can get at what is lshookd's.
    async fn loot(&self) -> Result<(BTreeSet<String>, bool)> {
        let rows =
            self.env.sql.query("select who, reads_secrets or writes_changes as gains from spy.loot", &[]).await?;
        let who = rows.iter().map(|row| row.get("who")).collect();
        Ok((who, rows.iter().any(|row| row.get("gains"))))
    }

    async fn end(self) -> Result<()> {
        let role = &self.env.database.name;
        self.env.run(&format!("reassign owned by {role} to current_user; drop owned by {role}; drop role {role}")).await
    }

    fn roles(&self) -> [String; 2] {
        let daemon = self.env.lshookd.daemon_role().expect("a daemon's role").to_owned();
        [format!("{daemon}_owner"), daemon]
    }

    /// Planted code has run, or not at all, and gained nothing.
    async fn assert_nothing_gained(&self, place: &str) -> Result<()> {
        let (who, gains) = self.loot().await?;
        assert!(!gains, "{place}: {who:?}");
        for role in self.roles() {
            assert!(!who.contains(&role), "{place}: it ran as {role}");
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_pins_its_path_and_is_executable_by_nobody_who_need_not() -> Result<()> {
    let env = TestEnv::new("pinned").await?;
    // With the watching functions.
    env.create_webhook(&env.receiver.url("/all"), &["--project", "1", "--actions", "TASK_UPDATED,DRAFT_CREATED"])
        .await?;
    let query = "select proname::text from pg_proc
                 where pronamespace = 'lshookd'::regnamespace
                   and not coalesce(proconfig, '{}') @> array['search_path=pg_catalog, pg_temp']";
    let unpinned: Vec<String> = env.sql.query(query, &[]).await?.iter().map(|row| row.get(0)).collect();
    assert_eq!(unpinned, Vec::<String>::new());
    let query = "select proname::text from pg_proc
                 where pronamespace = 'lshookd'::regnamespace and has_function_privilege('public', oid, 'execute')";
    let public: Vec<String> = env.sql.query(query, &[]).await?.iter().map(|row| row.get(0)).collect();
    assert_eq!(public, Vec::<String>::new());
    assert!(env.number("select count(*) from pg_proc where proname like 'watches%' and prosecdef").await? >= 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn types_in_pg_temp_are_not_taken_for_postgresqls() -> Result<()> {
    let tenant = tenant("temptypes").await?;
    tenant.owner.batch_execute(r#"select fixture.rows('task', '{"project_id": 1}', 3)"#).await?;
    // What is inserted below, so that no function with a path of its own stands between.
    tenant
        .owner
        .batch_execute(
            r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": []}', 3);
               select fixture.rows('labels_manager_label', '{"title": "a", "organization_id": 1, "created_by_id": 1}');
               select fixture.rows('labels_manager_labellink', '{"project_id": 1, "label_id": 1, "from_name": "b"}');
               create table spy.task as select * from public.task;
               create table spy.annotation as select * from public.task_completion;
               create table spy.label as select * from public.labels_manager_label;
               create table spy.link as select * from public.labels_manager_labellink;
               delete from public.labels_manager_labellink; delete from public.labels_manager_label;
               delete from public.task_completion; delete from public.task"#,
        )
        .await?;
    for (number, name) in
        ["text", "bigint", "boolean", "json", "jsonb", "regclass", "int8", "integer", "name"].iter().enumerate()
    {
        let domain =
            format!("create domain pg_temp.\"{name}\" as pg_catalog.text check (spy.look('{name}')); select {number}");
        tenant.owner.batch_execute(&domain).await?;
    }
    // Each trigger.
    tenant
        .owner
        .batch_execute(
            r#"insert into public.task select * from spy.task;
               insert into public.task_completion select * from spy.annotation where id = 1;
               insert into public.task_completion select * from spy.annotation where id > 1;
               update public.task_completion set ground_truth = true;
               delete from public.task_completion;
               update public.task set project_id = null where id = 2;
               delete from public.task;
               update public.project set title = 'Owl';
               insert into public.labels_manager_label select * from spy.label;
               insert into public.labels_manager_labellink select * from spy.link;
               update public.labels_manager_labellink set from_name = 'c';
               delete from public.labels_manager_labellink;
               delete from public.labels_manager_label;
               update public.webhook set is_active = true"#,
        )
        .await?;
    let _daemon = tenant.env.lshookd.run().await?;
    tenant.env.receiver.expect(1).await?;
    tenant.assert_nothing_gained("a domain in pg_temp").await?;
    assert_eq!(tenant.env.number("select count(*) from lshookd.capture_error").await?, 0);
    tenant.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_and_operators_of_others_are_not_taken_for_postgresqls() -> Result<()> {
    let tenant = tenant("shadows").await?;
    let relations = ["task", "project", "task_completion", "webhook", "labels_manager_labellink"];
    for relation in relations {
        for (name, returns) in [("row_to_json", "json"), ("to_jsonb", "jsonb"), ("count", "bigint")] {
            tenant
                .owner
                .batch_execute(&format!(
                    "create function public.{name}(public.{relation}) returns {returns} language plpgsql as
                     $$ begin perform spy.look('{name}'); return null; end $$"
                ))
                .await?;
        }
    }
    for (name, arguments, returns) in [
        ("unnest", "bigint[]", "setof bigint"),
        ("unnest", "text[]", "setof text"),
        ("cardinality", "bigint[]", "integer"),
        ("octet_length", "character varying", "integer"),
        ("coalesce_json", "json", "json"),
        ("md5", "character varying", "text"),
        ("starts_with", "name, text", "boolean"),
    ] {
        tenant
            .owner
            .batch_execute(&format!(
                "create function public.{name}({arguments}) returns {returns} language plpgsql as
                 $$ begin perform spy.look('{name}'); return; end $$"
            ))
            .await
            .or_else(|_| anyhow::Ok(()))?;
    }
    for (symbol, left, right) in [
        ("->>", "json", "json"),
        ("->", "json", "json"),
        ("=", "character varying", "text"),
        ("=", "name", "text"),
        ("~~", "name", "name"),
        ("||", "character varying", "character varying"),
        ("=", "text", "character varying"),
        ("=", "bigint", "integer"),
        ("<>", "name", "name"),
        ("=", "uuid", "text"),
        ("<", "integer", "bigint"),
    ] {
        let name =
            format!("op{}", tenant.owner.query_one("select count(*) from pg_operator", &[]).await?.get::<_, i64>(0));
        tenant
            .owner
            .batch_execute(&format!(
                "create function public.{name}({left}, {right}) returns boolean language plpgsql as
                 $$ begin return spy.look('{symbol}'); end $$;
                 create operator public.{symbol} (leftarg = {left}, rightarg = {right}, function = public.{name})"
            ))
            .await?;
    }
    let daemon = tenant.env.lshookd.run().await?;
    tenant.env.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "a"}}')"#).await?;
    tenant
        .env
        .run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": []}')"#)
        .await?;
    assert_eq!(tenant.env.receiver.expect(2).await?.len(), 2, "{}", daemon.log());
    for command in [
        &["check"][..],
        &["status"],
        &["webhook", "list"],
        &["webhook", "adopt", "--all"],
        &["webhook", "release", "--all"],
        &["install"],
    ] {
        tenant.env.lshookd.command(command).await?;
    }
    tenant.assert_nothing_gained("a shadow").await?;
    tenant.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn code_on_label_studios_tables_gains_nothing() -> Result<()> {
    let tenant = tenant("code").await?;
    let daemon = tenant.env.lshookd.run().await?;
    // What is run where rows are read and written: a column whose type has a cast of its own to JSON, a trigger on the
    // table that the commands write, a rule.
    tenant
        .owner
        .batch_execute(
            "create type public.mood as enum ('calm');
             create function public.mood_to_json(public.mood) returns json language plpgsql as
                 $$ begin perform spy.look('cast'); return '\"calm\"'; end $$;
             create cast (public.mood as json) with function public.mood_to_json(public.mood);
             alter table public.task add column mood public.mood default 'calm';
             alter table public.project add column mood public.mood default 'calm';
             create function public.pounce() returns trigger language plpgsql as
                 $$ begin perform spy.look('trigger'); return new; end $$;
             create trigger pounce before update or insert on public.webhook for each row execute function public.pounce();
             create function public.pounce_on_action() returns trigger language plpgsql as
                 $$ begin perform spy.look('trigger'); return coalesce(new, old); end $$;
             create trigger pounce before insert or delete on public.webhook_action
                 for each row execute function public.pounce_on_action()",
        )
        .await?;
    tenant.env.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "a"}}')"#).await?;
    tenant.env.receiver.expect(1).await?;
    let url = tenant.env.receiver.url("/more");
    for command in [
        &["webhook", "adopt", "--all"][..],
        &["webhook", "release", "--all"],
        &["webhook", "adopt", "--all"],
        &["webhook", "create", &url, "--project", "1", "--actions", "TASKS_CREATED"],
        &["webhook", "delete", "2", "--yes"],
        &["webhook", "list"],
        &["check"],
        &["webhook", "test", "1"],
    ] {
        tenant.env.lshookd.command(command).await?;
    }
    tenant.assert_nothing_gained("code on a table").await?;
    let (who, _) = tenant.loot().await?;
    assert!(!who.is_empty(), "nothing planted has run: the attack is none");
    // A policy would run, too, and hide rows: it is an error, and nothing is lost.
    tenant
        .owner
        .batch_execute(
            "alter table public.task enable row level security;
             create policy hide on public.task for select using (spy.look('policy') and false)",
        )
        .await?;
    tenant.env.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "b"}}')"#).await?;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(tenant.env.receiver.received().iter().filter(|request| request.path == "/project").count(), 1 + 1);
    let output = tenant.env.lshookd.command(&["check", "--json"]).await?;
    assert!(String::from_utf8_lossy(&output.stdout).contains("row-level security"));
    tenant.owner.batch_execute("alter table public.task disable row level security").await?;
    tenant.assert_nothing_gained("a policy").await?;
    let texts = async || {
        let texts: Vec<_> = tenant
            .env
            .receiver
            .received()
            .iter()
            .filter_map(|request| request.body["tasks"][0]["data"]["text"].as_str().map(str::to_owned))
            .collect();
        Ok(texts.contains(&"b".to_owned()).then_some(()))
    };
    let arrived =
        lshookd_testbed::eventually("what the policy hid arrives", std::time::Duration::from_secs(20), texts).await;
    assert!(arrived.is_ok(), "{}", daemon.log());
    drop(daemon);
    tenant.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_keys_of_other_types_are_refused() -> Result<()> {
    let tenant = tenant("views").await?;
    tenant
        .owner
        .batch_execute("alter table public.labels_manager_label rename to real_label; create view public.labels_manager_label as select * from real_label; grant all on public.labels_manager_label to public")
        .await?;
    let refused = tenant.env.lshookd.command(&["install"]).await?;
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr)?;
    assert!(said.contains("it is no table"), "{said}");
    tenant
        .owner
        .batch_execute("drop view public.labels_manager_label; alter table public.real_label rename to labels_manager_label; alter table public.labels_manager_label drop column organization_id cascade; alter table public.labels_manager_label add column organization_id text")
        .await?;
    let refused = tenant.env.lshookd.command(&["check"]).await?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stdout)?.contains("organization_id"));
    tenant.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_and_children_are_refused() -> Result<()> {
    let tenant = tenant("children").await?;
    tenant.owner.batch_execute("create table public.more_tasks () inherits (public.task)").await?;
    let refused = tenant.env.lshookd.command(&["install"]).await?;
    assert!(String::from_utf8(refused.stderr)?.contains("other tables inherit from it"));
    tenant.end().await
}

/// Where nobody is a superuser, as on managed servers: the roles are created by one that may create roles, owns the
/// database, is a member of Label Studio's role and may give pg_read_all_stats on.
#[tokio::test(flavor = "multi_thread")]
async fn the_roles_are_created_without_a_superuser() -> Result<()> {
    let tenant = tenant("managed").await?;
    let env = &tenant.env;
    let name = &env.database.name;
    let (admin, few) = (format!("{name}_admin"), format!("{name}_few"));
    env.lshookd.succeed(&["uninstall", "--yes"]).await?;
    env.run(&format!(
        "create role {admin} createrole; grant pg_read_all_stats to {admin} with admin option; grant {name} to {admin};
         alter database {name} owner to {admin};
         do $$ begin
             -- New in PostgreSQL 14.
             if exists (select from pg_roles where rolname = 'pg_database_owner') then
                 alter schema public owner to pg_database_owner;
             end if;
         end $$"
    ))
    .await?;
    let script = crate::test_env::lshookd(&env.database).succeed(&["install", "--print-roles"]).await?;
    let script = script.replace("set name 'lshookd'", &format!("set name '{few}'"));
    env.database.psql(&format!("set role {admin};\n{script}")).await?;
    env.run(&format!("alter role {few} password 'few'; alter role {few}_owner password 'few'")).await?;
    let lshookd = crate::test_env::lshookd(&env.database).with("POSTGRE_PASSWORD", "few");
    let owner = lshookd.clone().with("POSTGRE_USER", &format!("{few}_owner"));
    owner.succeed(&["install"]).await?;
    owner.succeed(&["webhook", "adopt", "--all"]).await?;
    let daemon = lshookd.with("POSTGRE_USER", &few).start().await?;
    tenant.owner.batch_execute("update project set title = 'Managed'").await?;
    assert_eq!(env.receiver.expect(1).await?[0].body["project"]["title"], "Managed");
    let checked = owner.command(&["check", "--json"]).await?;
    let said = String::from_utf8(checked.stdout)?;
    assert!(!said.contains("\"error\"") && !said.contains("\"activity\""), "{said}");
    daemon.stop().await?;
    owner.succeed(&["uninstall", "--yes"]).await?;
    let roles = ["_owner", "", "_capture", "_access", "_monitor"].map(|suffix| format!("{few}{suffix}")).join(", ");
    env.run(&format!("drop owned by {roles}; drop role {roles}; alter database {name} owner to current_user; drop owned by {admin}; drop role {admin}"))
        .await?;
    tenant.end().await
}

/// From an installation as Label Studio's own role to roles with few rights, and nothing is lost on the way.
#[tokio::test(flavor = "multi_thread")]
async fn an_installation_as_label_studios_role_moves_to_roles_of_its_own() -> Result<()> {
    let tenant = tenant("moving").await?;
    let env = &tenant.env;
    let name = &env.database.name;
    env.lshookd.succeed(&["uninstall", "--yes"]).await?;
    env.run(&format!("alter role {name} login password 'studio'")).await?;
    let lshookd = crate::test_env::lshookd(&env.database);
    let studio = lshookd.clone().with("POSTGRE_USER", name).with("POSTGRE_PASSWORD", "studio");
    studio.succeed(&["install"]).await?;
    studio.succeed(&["webhook", "adopt", "--all"]).await?;
    tenant.owner.batch_execute("update project set title = 'Before'").await?;

    let few = format!("{name}_few");
    let script = lshookd.succeed(&["install", "--print-roles"]).await?;
    env.database.psql(&script.replace("set name 'lshookd'", &format!("set name '{few}'"))).await?;
    env.run(&format!("alter role {few} password 'few'; alter role {few}_owner password 'few'")).await?;
    let with_few = lshookd.with("POSTGRE_PASSWORD", "few");
    let owner = with_few.clone().with("POSTGRE_USER", &format!("{few}_owner"));
    owner.succeed(&["install"]).await?;
    let daemon = with_few.with("POSTGRE_USER", &few).run().await?;
    tenant.owner.batch_execute("update project set title = 'After'").await?;
    assert_eq!(env.receiver.expect(2).await?.len(), 2);
    let checked = owner.command(&["check", "--json"]).await?;
    let said = String::from_utf8(checked.stdout)?;
    assert!(!said.contains("\"error\"") && !said.contains("\"activity\""), "{said}");
    let left = format!(
        "select count(*) from pg_class where relnamespace = 'lshookd'::regnamespace and relowner = '{name}'::regrole"
    );
    assert_eq!(env.number(&left).await?, 0);
    let left = format!(
        "select count(*) from pg_proc where pronamespace = 'lshookd'::regnamespace and proowner = '{name}'::regrole"
    );
    assert_eq!(env.number(&left).await?, 0);
    daemon.stop().await?;
    owner.succeed(&["uninstall", "--yes"]).await?;
    let roles = ["_owner", "", "_capture", "_access", "_monitor"].map(|suffix| format!("{few}{suffix}")).join(", ");
    env.run(&format!("drop owned by {roles}; drop role {roles}")).await?;
    tenant.end().await
}

/// What a role may do at most, by the catalog: calls, and rights on tables.
async fn rights(database: &Database, role: &str) -> Result<Vec<String>> {
    let client = database.connect().await?;
    let query = r#"
        select format('%s %s', privilege, relation.oid::regclass)
        from pg_class as relation
        cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'trigger']) as privilege
        where relation.relnamespace in ('lshookd'::regnamespace, 'public'::regnamespace)
          and relation.relkind in ('r', 'v')
          and has_table_privilege($1, relation.oid, privilege)
        union all
        select format('create in %s', nspname)
        from pg_namespace
        where nspname in ('lshookd', 'public') and has_schema_privilege($1, oid, 'create')
        union all
        select format('execute %s', function.oid::regprocedure)
        from pg_proc as function
        where function.pronamespace = 'lshookd'::regnamespace
          and has_function_privilege($1, function.oid, 'execute')
        order by 1"#;
    Ok(client.query(query, &[&role]).await?.iter().map(|row| row.get(0)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_has_the_rights_that_its_work_takes_and_no_more() -> Result<()> {
    let env = TestEnv::new("roles").await?;
    // Up to PostgreSQL 14 everybody may create in the schema public.
    env.run("revoke create on schema public from public").await?;
    let daemon = env.lshookd.daemon_role().expect("a daemon's role").to_owned();
    let of = async |suffix: &str| rights(&env.database, &format!("{daemon}{suffix}")).await;

    // The daemon reads nothing of Label Studio's by itself, and of users, tokens and storages nothing at all.
    let all = of("").await?;
    assert_eq!(all.iter().filter(|right| !right.contains("lshookd.")).count(), 0, "{all:#?}");
    assert!(all.contains(&"insert lshookd.event".to_owned()));
    assert!(!all.iter().any(|right| right.starts_with("truncate") || right.starts_with("create")), "{all:#?}");
    assert!(!all.iter().any(|right| right.contains("create_webhook") || right.contains("watch_as_wanted")));

    // Capture adds changes.
    let tables: Vec<String> = of("_capture").await?.into_iter().filter(|right| !right.starts_with("execute")).collect();
    let expected = [
        "insert lshookd.capture_error",
        "insert lshookd.change",
        "insert lshookd.deleted_row",
        "insert lshookd.recount",
        "insert lshookd.watched_row",
        "select lshookd.change",
        "select lshookd.deleted_row",
        "select lshookd.payload_option",
        "select lshookd.waiting_change",
        "select lshookd.watched_row",
    ];
    assert_eq!(tables, expected);

    // Access reads what payloads are made of, and writes webhooks.
    let all = of("_access").await?;
    assert!(!all.iter().any(|right| right.contains(" lshookd.") && !right.starts_with("execute")), "{all:#?}");
    for secret in
        ["authtoken_token", "django_session", "htx_user", "jwt_auth_jwtsettings", "io_storages_s3importstorage"]
    {
        assert!(!all.contains(&format!("select {secret}")), "{secret}");
    }
    assert!(!all.iter().any(|right| right.starts_with("insert task") || right.starts_with("update project")));

    // A monitor reads views, and calls nothing.
    let all = of("_monitor").await?;
    assert!(all.iter().all(|right| right.starts_with("select lshookd.")), "{all:#?}");
    assert!(all.contains(&"select lshookd.lag".to_owned()) && !all.contains(&"select lshookd.secret".to_owned()));
    let monitor = env.database.connect().await?;
    monitor
        .batch_execute(&format!("set role {daemon}_monitor; select * from lshookd.lag, lshookd.delivery_status"))
        .await?;

    // And whoever has USAGE of our schema and nothing else.
    let nobody = &env.database.name;
    env.run(&format!("create role {nobody}; grant usage on schema lshookd to {nobody}")).await?;
    assert_eq!(rights(&env.database, nobody).await?, Vec::<String>::new());
    let client = env.database.connect().await?;
    client
        .batch_execute(&format!(
            "set role {nobody}; create temporary table task_completion (id bigint, task_id bigint, project_id bigint)"
        ))
        .await?;
    let planted = client
        .batch_execute(
            "create trigger mine after delete on task_completion referencing old table as removed
                 for each statement execute function lshookd.capture_annotation_delete()",
        )
        .await;
    assert!(planted.is_err());
    env.run(&format!("drop owned by {nobody}; drop role {nobody}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_events_up() -> Result<()> {
    let (env, _daemon) = TestEnv::running("forged").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.receiver.expect(1).await?;
    env.run("select set_config('lshookd.task_moves', '1 1 ,', false); update task set is_labeled = true where id = 1")
        .await?;
    // A session that takes another's name gains nothing either.
    env.run("set lshookd.session = 'x''; drop table task; --'; update project set title = 'Owl'").await?;
    let events = env.receiver.expect(2).await?;
    assert_eq!(events[1].action(), "PROJECT_UPDATED");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(env.receiver.received().len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_relation_that_nobody_knows_is_set_aside() -> Result<()> {
    let (env, daemon) = TestEnv::running("unknown").await?;
    env.run("insert into lshookd.change (relation, operation, project_id, ids) values ('watched_bogus', 'insert', 1, '{1}')").await?;
    env.run("update project set title = 'Owl'").await?;
    env.receiver.expect(1).await?;
    assert_eq!(env.number("select count(*) from lshookd.change_set_aside").await?, 1);
    assert!(daemon.log().contains("watched_bogus"), "{}", daemon.log());
    Ok(())
}

/// A foreign session has our advisory lock; whoever is active beats, and takes over.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_our_locks_silences_nobody_for_long() -> Result<()> {
    let env = TestEnv::new("squatter").await?;
    env.webhook("/project", "{}").await?;
    let squatter = env.database.connect().await?;
    squatter.batch_execute("select pg_advisory_lock(1819503723, 2), pg_advisory_lock(1819503723, 3)").await?;
    let daemon = env.lshookd.start().await?;
    env.run("update project set title = 'Owl'").await?;
    assert_eq!(env.receiver.expect(1).await?[0].action(), "PROJECT_UPDATED");
    assert!(daemon.log().contains("pg_terminate_backend"), "{}", daemon.log());
    Ok(())
}
