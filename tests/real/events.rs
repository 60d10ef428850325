//! Events out of plain SQL, with no Label Studio running: what is announced, to whom, and what
//! it says.

use anyhow::Result;
use serde_json::json;

use crate::test_env::TestEnv;

/// The actions that arrived, each with the ids of its objects.
async fn arrived(env: &TestEnv, count: usize) -> Result<Vec<String>> {
    Ok(env.receiver.expect(count).await?.iter().map(lshookd_testbed::receiver::Received::summary).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_three_statements_is_one_event_with_the_rows_headers() -> Result<()> {
    let (env, _daemon) = TestEnv::running("import").await?;
    env.run(
        r#"update webhook set headers = '{"X-Secret": "feathers", "Content-Type": "application/json; charset=utf-8"}'"#,
    )
    .await?;
    env.run(
        r#"begin;
           select fixture.rows('task', '{"project_id": 1}', 1000);
           select fixture.rows('task', '{"project_id": 1}', 1000);
           select fixture.rows('task', '{"project_id": 1}', 500);
           commit;"#,
    )
    .await?;
    let events = env.receiver.expect(1).await?;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].action(), "TASKS_CREATED");
    assert_eq!(events[0].ids("tasks"), (1..=2500).collect::<Vec<_>>());
    assert_eq!(events[0].body["project"]["task_number"], 2500);
    assert_eq!(events[0].header("x-secret"), "feathers");
    assert_eq!(events[0].header("content-type"), "application/json; charset=utf-8");
    assert_eq!(events[0].header("user-agent"), concat!("lshookd/", env!("CARGO_PKG_VERSION")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_large_tasks_is_cut_by_their_bytes() -> Result<()> {
    let env = TestEnv::new("bytes").await?.with("LSHOOKD_BATCH_BYTES", "200000");
    env.webhook("/project", "{}").await?;
    let _daemon = env.lshookd.run().await?;
    let text = "owl ".repeat(500);
    env.run(&format!(
        r#"begin;
           select fixture.rows('task', '{{"project_id": 1, "data": {{"text": "{text}"}}}}', 700);
           select fixture.rows('task_completion', '{{"project_id": 1, "task_id": 700}}');
           commit;"#
    ))
    .await?;
    let events = env.receiver.expect(8).await?;
    let ids: Vec<i64> = events.iter().flat_map(|event| event.ids("tasks")).collect();
    assert_eq!(ids, (1..=700).collect::<Vec<_>>());
    for event in &events {
        assert!(event.body.to_string().len() < 210_000);
        assert_eq!((event.action(), &event.body["project"]["task_number"]), ("TASKS_CREATED", &json!(700)));
    }
    // What is made in bulk has its tasks beside it.
    env.receiver.clear();
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}', 600)"#).await?;
    let events = env.receiver.expect(7).await?;
    let annotations: Vec<i64> = events.iter().flat_map(|event| event.ids("annotation")).collect();
    assert_eq!(annotations, (2..=601).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event.ids("annotation").len() == event.ids("task").len()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_larger_than_the_batch_size_is_cut() -> Result<()> {
    let env = TestEnv::new("cut").await?;
    env.webhook("/project", "{}").await?;
    let env = env.with("WEBHOOK_BATCH_SIZE", "2");
    let _daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 5)"#).await?;
    let cut =
        ["TASKS_CREATED tasks 1,2 project 1", "TASKS_CREATED tasks 3,4 project 1", "TASKS_CREATED tasks 5 project 1"];
    assert_eq!(arrived(&env, 3).await?, cut);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_its_update_and_its_deletion_are_three_events() -> Result<()> {
    let (env, _daemon) = TestEnv::running("annotation").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "owl"}}')"#).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "completed_by_id": 1, "result": [{"a": 1}]}')"#).await?;
    env.run("update task_completion set result = '[]'").await?;
    env.run("delete from task_completion").await?;
    let events = env.receiver.expect(4).await?;
    let actions: Vec<&str> = events.iter().map(|event| event.action()).collect();
    assert_eq!(actions, ["TASKS_CREATED", "ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED"]);
    assert_eq!(events[3].body["annotations"], json!([{"id": 1}]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_comes_with_its_task_and_project() -> Result<()> {
    let (env, _daemon) = TestEnv::running("payload").await?;
    env.run(
        r#"select fixture.rows('task', '{"project_id": 1, "data": {"$undefined$": "owl"}, "file_upload_id": null}')"#,
    )
    .await?;
    env.run(
        r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "completed_by_id": 1,
               "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05.06Z", "lead_time": 2.5, "result": null}')"#,
    )
    .await?;
    let event = env.receiver.expect(2).await?.remove(1);
    let annotation = &event.body["annotation"];
    assert_eq!(annotation["created_at"], "2026-01-02T03:04:05Z");
    assert_eq!(annotation["updated_at"], "2026-01-02T03:04:05.060000Z");
    assert_eq!(annotation["completed_by"], 1);
    assert_eq!(annotation["lead_time"], 2.5);
    assert!(annotation.get("completed_by_id").is_none() && annotation["result"].is_null());
    assert_eq!(event.body["task"]["data"], json!({"text": "owl"}));
    assert_eq!(event.body["task"]["comment_authors"], json!([]));
    let counts = ["task_number", "total_annotations_number", "useful_annotation_number", "num_tasks_with_annotations"];
    assert_eq!(counts.map(|count| event.body["project"][count].as_i64()), [Some(1), Some(1), Some(0), Some(0)]);
    env.run("insert into task_comment_authors (task_id, user_id) select 1, id from htx_user order by id limit 1")
        .await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}')"#).await?;
    let event = env.receiver.expect(3).await?.remove(2);
    assert_eq!(event.body["task"]["comment_authors"], json!([1]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_annotated_tasks_is_one_event() -> Result<()> {
    let (env, _daemon) = TestEnv::running("cascade").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 10)"#).await?;
    env.receiver.expect(1).await?;
    env.run(r#"begin; select fixture.rows('task_completion', jsonb_build_object('project_id', 1, 'task_id', id)) from task; commit"#).await?;
    env.receiver.expect(11).await?;
    env.receiver.clear();
    env.run("begin; delete from task_completion; delete from task; commit").await?;
    assert_eq!(arrived(&env, 1).await?, ["TASKS_DELETED tasks 1,2,3,4,5,6,… project 1"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_nothing_and_a_savepoint_is_respected() -> Result<()> {
    let (env, _daemon) = TestEnv::running("rollback").await?;
    env.run(r#"begin; select fixture.rows('task', '{"project_id": 1}', 5); rollback"#).await?;
    env.run(
        r#"begin;
           select fixture.rows('task', '{"project_id": 1}');
           savepoint s; select fixture.rows('task', '{"project_id": 1}'); rollback to s;
           commit"#,
    )
    .await?;
    assert_eq!(arrived(&env, 1).await?, ["TASKS_CREATED tasks 6 project 1"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projects_title_is_one_event_and_bookkeeping_none() -> Result<()> {
    let (env, _daemon) = TestEnv::running("title").await?;
    env.run("update project set parsed_label_config = '{}', model_version = 'm'").await?;
    env.run("update project set title = 'Fish'").await?;
    let events = env.receiver.expect(1).await?;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].action(), &events[0].body["project"]["title"]), ("PROJECT_UPDATED", &json!("Fish")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_to_those_who_subscribed() -> Result<()> {
    let env = TestEnv::new("routing").await?;
    env.run(
        r#"select fixture.rows('project', '{"organization_id": 1}'); 
              select fixture.rows('htx_user', '{"email": "other@example.com", "username": "other"}');
              select fixture.rows('organization', '{"created_by_id": 2}')"#,
    )
    .await?;
    env.webhook("/all", "{}").await?;
    env.webhook("/organization", r#"{"project_id": null}"#).await?;
    env.webhook("/other-project", r#"{"project_id": 2}"#).await?;
    env.webhook("/other-organization", r#"{"project_id": null, "organization_id": 2}"#).await?;
    env.webhook("/off", r#"{"is_active": false}"#).await?;
    env.webhook("/bare", r#"{"send_payload": false}"#).await?;
    let chosen = env.webhook("/chosen", r#"{"send_for_all_actions": false}"#).await?;
    env.run(&format!("insert into webhook_action (webhook_id, action) values ({chosen}, 'TASKS_DELETED'), ({chosen}, 'PROJECT_DELETED')")).await?;
    let _daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.run("delete from task").await?;
    let events = env.receiver.expect(8).await?;
    let mut seen: Vec<(String, String)> =
        events.iter().map(|event| (event.path.clone(), event.action().to_owned())).collect();
    seen.sort();
    let expected = [
        ("/all", "TASKS_CREATED"),
        ("/all", "TASKS_DELETED"),
        ("/bare", "TASKS_CREATED"),
        ("/bare", "TASKS_DELETED"),
        ("/chosen", "TASKS_DELETED"),
        ("/organization", "PROJECT_CREATED"),
        ("/organization", "TASKS_CREATED"),
        ("/organization", "TASKS_DELETED"),
    ];
    let expected = expected.map(|(path, action)| (path.to_owned(), action.to_owned()));
    assert_eq!(seen, expected);
    let bare = events.iter().find(|event| event.path == "/bare").unwrap();
    assert_eq!(bare.body, json!({"action": "TASKS_CREATED"}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_come_and_go_for_the_organization_alone() -> Result<()> {
    let (env, _daemon) = TestEnv::running("organization").await?;
    env.webhook("/organization", r#"{"project_id": null}"#).await?;
    env.run(r#"select fixture.rows('project', '{"title": "Fish", "organization_id": 1}')"#).await?;
    env.receiver.expect(1).await?;
    env.run("delete from project where id = 2").await?;
    let events = env.receiver.expect(2).await?;
    assert!(events.iter().all(|event| event.path == "/organization"));
    assert_eq!((events[0].action(), &events[0].body["project"]["title"]), ("PROJECT_CREATED", &json!("Fish")));
    assert_eq!(events[1].body, json!({"action": "PROJECT_DELETED", "project": {"id": 2}}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn organization_webhooks_can_be_left_out() -> Result<()> {
    let env = TestEnv::new("left_out").await?;
    env.webhook("/organization", r#"{"project_id": null}"#).await?;
    env.webhook("/project", "{}").await?;
    let env = env.with("LSHOOKD_ORGANIZATION_WEBHOOKS", "false");
    let _daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    let events = env.receiver.expect(1).await?;
    assert_eq!(events.iter().map(|event| event.path.as_str()).collect::<Vec<_>>(), ["/project"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn label_links_come_with_their_label() -> Result<()> {
    let (env, _daemon) = TestEnv::running("labels").await?;
    env.run(
        r#"select fixture.rows('labels_manager_label', '{"title": "owl", "value": ["owl"], "organization_id": 1, "created_by_id": 1}');
           select fixture.rows('labels_manager_labellink', '{"project_id": 1, "label_id": 1, "from_name": "c"}')"#,
    )
    .await?;
    env.receiver.expect(1).await?;
    env.run("update labels_manager_labellink set from_name = 'd'").await?;
    env.receiver.expect(2).await?;
    env.run("delete from labels_manager_labellink").await?;
    let events = env.receiver.expect(3).await?;
    assert_eq!(events[0].body["label_link"][0]["from_name"], "c");
    assert_eq!(events[1].body["label"]["projects"], json!([1]));
    assert_eq!(events[2].body["label_link"], json!({"id": 1}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_settle_time_every_transaction_is_planned_at_once() -> Result<()> {
    let env = TestEnv::new("settle").await?;
    env.webhook("/project", "{}").await?;
    let env = env.with("LSHOOKD_SETTLE", "0");
    let _daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    assert_eq!(arrived(&env, 2).await?, ["TASKS_CREATED tasks 1 project 1", "TASKS_CREATED tasks 2 project 1"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_bites_arrives_as_it_is() -> Result<()> {
    let (env, _daemon) = TestEnv::running("bites").await?;
    let data = r#"{"text": "Grüße \u2028 \"😀\" \\u0000 \n", "big": 123456789012345678, "float": 0.1, "empty": "", "null": null, "nested": {"created_at": "x", "project_id": 1}}"#;
    env.sql
        .execute("select fixture.rows('task', jsonb_build_object('project_id', 1, 'data', $1::text::jsonb))", &[&data])
        .await?;
    let event = env.receiver.expect(1).await?.remove(0);
    assert_eq!(event.body["tasks"][0]["data"], serde_json::from_str::<serde_json::Value>(data)?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_may_be_negative_or_of_64_bits() -> Result<()> {
    let (env, _daemon) = TestEnv::running("ids").await?;
    env.run(
        "alter table task alter column id type bigint;
         alter table task_completion alter column id type bigint, alter column task_id type bigint;
         do $$
             declare
                 sequence_name text;
             begin
                 foreach sequence_name in array array[pg_get_serial_sequence('task', 'id'), pg_get_serial_sequence('task_completion', 'id')] loop
                     execute format('alter sequence %s as bigint minvalue -100 maxvalue 9223372036854775807 restart -7', sequence_name);
                 end loop;
             end
         $$",
    )
    .await?;
    for (id, count) in [(-7, 2), (9_223_372_036_854_775_806, 4)] {
        for table in ["task", "task_completion"] {
            env.run(&format!("select setval(pg_get_serial_sequence('{table}', 'id'), {id}, false)")).await?;
        }
        env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
        env.receiver.expect(count - 1).await?;
        env.run(&format!(
            r#"select fixture.rows('task_completion', '{{"project_id": 1, "task_id": {id}, "result": []}}')"#
        ))
        .await?;
        let received = env.receiver.expect(count).await?;
        assert_eq!(received[count - 2].ids("tasks"), [id]);
        assert_eq!(received[count - 1].ids("annotation"), [id]);
        assert_eq!(received[count - 1].ids("task"), [id]);
    }
    env.run("delete from task_completion; delete from task").await?;
    let deleted = env.receiver.expect(5).await?.remove(4);
    assert_eq!(deleted.ids("tasks"), [-7, 9_223_372_036_854_775_806]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_needs_no_right_in_our_schema() -> Result<()> {
    let (env, _daemon) = TestEnv::running("writer").await?;
    let role = &env.database.name;
    env.run(&format!(
        "create role {role}; grant usage on schema public, fixture to {role};
         grant all on all tables in schema public to {role}; grant all on all sequences in schema public to {role};
         set role {role}"
    ))
    .await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": []}')"#).await?;
    env.run("update project set title = 'Fish'").await?;
    env.run("delete from task_completion").await?;
    assert!(env.run("select from lshookd.change").await.is_err());
    env.run(&format!("reset role; drop owned by {role}; drop role {role}")).await?;
    let daemon = env.lshookd.daemon_role().expect("a daemon's role");
    env.run(&format!("set role {daemon}; select from lshookd.task_rows('{{1}}'), lshookd.delivery")).await?;
    for what in
        ["select from task", "update project set title = 'Owl'", "delete from task", "drop table lshookd.change"]
    {
        assert!(env.run(what).await.is_err(), "the daemon may {what}");
    }
    env.run("reset role").await?;
    let actions = env.receiver.expect(4).await?;
    let actions: Vec<&str> = actions.iter().map(|event| event.action()).collect();
    assert_eq!(actions, ["TASKS_CREATED", "ANNOTATION_CREATED", "PROJECT_UPDATED", "ANNOTATIONS_DELETED"]);
    assert_eq!(env.number("select count(*) from lshookd.capture_error").await?, 0);
    Ok(())
}
