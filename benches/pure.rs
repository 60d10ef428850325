//! What the pure parts take, without PostgreSQL and HTTP: `cargo bench --bench pure`.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use lshookd::config::GatherLimits;
use lshookd::deliver::signature;
use lshookd::label_studio::catalog::Shape;
use lshookd::model::End;
use lshookd::pipeline::gather::{Activity, Transaction, Unit, gather};
use lshookd::pipeline::plan::plan;
use lshookd::pipeline::render::row::Fields;
use lshookd::queue::change::{Change, Operation, Relation};

const SETTLE: Duration = Duration::from_millis(50);

fn main() {
    divan::main();
}

/// So many annotations that people submitted, each in a transaction of its own, in 32 projects.
fn submitted(quantity: i64) -> Vec<Change> {
    let submit = |number: i64| Change {
        seq: number,
        transaction: number.unsigned_abs(),
        connection: number % 16,
        captured_at: SystemTime::UNIX_EPOCH + Duration::from_millis(number.unsigned_abs()),
        relation: Relation::Annotation,
        operation: Operation::Insert,
        project: Some(number % 32),
        ids: vec![number],
        parents: vec![Some(number)],
        ..Change::default()
    };
    (1..=quantity).map(submit).collect()
}

#[divan::bench(args = [100, 10_000])]
fn gather_single_changes(bencher: Bencher<'_, '_>, quantity: i64) {
    let activity = Activity { now: SystemTime::UNIX_EPOCH, writers: HashMap::new(), urgent: false };
    let limits =
        GatherLimits { settle: Duration::ZERO, limit: Duration::from_secs(5), import_limit: Duration::from_secs(300) };
    bencher
        .counter(ItemsCount::new(quantity.unsigned_abs()))
        .with_inputs(|| submitted(quantity))
        .bench_values(|changes| gather(changes, &activity, &HashMap::new(), &limits));
}

#[divan::bench(args = [1, 1_000])]
fn plan_annotations_of_one_connection(bencher: Bencher<'_, '_>, quantity: i64) {
    let transactions = submitted(quantity).into_iter().map(|change| Transaction { changes: vec![change] }).collect();
    let unit = Unit { transactions, single_action: false, end: End::Idle };
    bencher.counter(ItemsCount::new(quantity.unsigned_abs())).bench(|| plan(black_box(&unit), 5000, SETTLE));
}

#[divan::bench(args = [1_000, 100_000])]
fn plan_an_import(bencher: Bencher<'_, '_>, tasks: i64) {
    let insert = |from: i64| Change {
        seq: from,
        transaction: 1,
        connection: 1,
        relation: Relation::Task,
        operation: Operation::Insert,
        project: Some(1),
        ids: (from..from + 1_000).collect(),
        ..Change::default()
    };
    let changes = (0..tasks / 1_000).map(|number| insert(1 + number * 1_000)).collect();
    let unit = Unit { transactions: vec![Transaction { changes }], single_action: true, end: End::Closed };
    bencher.counter(ItemsCount::new(tasks.unsigned_abs())).bench(|| plan(black_box(&unit), 5000, SETTLE));
}

/// A task as `row_to_json` writes it, with so many bytes of data.
fn task(bytes: usize) -> String {
    format!(
        r#"{{"id":1,"data":{{"text":"{}"}},"created_at":"2026-11-29T09:45:10.123456+00:00","updated_at":"2026-11-29T09:45:10.1+00:00","is_labeled":false,"project_id":7,"overlap":1,"inner_id":1,"total_annotations":0,"updated_by_id":null,"precomputed_agreement":0.5}}"#,
        "fish ".repeat(bytes / 5)
    )
}

#[divan::bench(args = [300, 3_000, 50_000])]
fn serialize_a_task(bencher: Bencher<'_, '_>, bytes: usize) {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let shape = Shape {
        moments: named(&["created_at", "updated_at"]),
        floats: named(&["precomputed_agreement"]),
        references: named(&["project_id", "updated_by_id"]),
        ..Shape::default()
    };
    let row = task(bytes);
    bencher.counter(BytesCount::new(row.len())).bench(|| {
        let mut fields = Fields::parse(black_box(&row)).expect("a row is a JSON object");
        fields.serialize_as(&shape);
        fields.to_json()
    });
}

#[divan::bench(args = [300, 3_000, 50_000])]
fn sign_a_body(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = vec![b'x'; bytes];
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| signature("whsec_c2VjcmV0IG9mIGEgYmVuY2htYXJr", "msg_1", 1_796_000_000, black_box(&body)));
}
