//! Counts of projects, which Label Studio shows with each: to count a large one takes longer than all the rest.
//!
//! Promises the counts of the caller's snapshot. A large project is counted whole once; then only those parts of it
//! are counted, 128 tasks by id each, in which something changed since. Relies on the capture functions, which note
//! such parts (`lshookd.counts_changed`) as long as somebody holds the advisory lock of the project's bucket, and on the
//! session, which holds it: a writer that finds the lock free notes nothing and shares it until it ends, so that
//! whoever gets the lock counts what was not noted. What triggers cannot see (`truncate`, triggers that are disabled) is
//! counted when the count is taken anew.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient, Row};

use crate::pg::{Prepared, lock};

/// What is counted, as `lshookd.project_counts` and the functions that count parts return it and Label Studio names it.
pub const NAMES: [&str; 7] = [
    "task_number",
    "finished_task_number",
    "total_annotations_number",
    "num_tasks_with_annotations",
    "useful_annotation_number",
    "ground_truth_number",
    "skipped_annotations_number",
];

const COUNT: &str = "select * from lshookd.project_counts($1::bigint[])";
const RECOUNT: &str = include_str!("../../../sql/render/recount.sql");

/// A project is large that has so many tasks and annotations: fewer are counted in a few milliseconds, and whoever
/// annotates them notes nothing.
const LARGE: i64 = 10_000;

/// Parts whose counts are kept, at most: a million tasks have 8,000 and take less than a megabyte.
const MAXIMUM_PARTS: usize = 100_000;

/// Counts are taken anew after this time, and those that nobody asks for are forgotten.
const MAXIMUM_AGE: Duration = Duration::from_secs(3600);
const UNUSED: Duration = Duration::from_secs(600);

/// How often a lock is asked for that could not be had.
const LOCK_INTERVAL: Duration = Duration::from_secs(30);

/// How often notes are thrown away that nobody needs.
const CLEANING: Duration = Duration::from_secs(60);

/// In the order of [`NAMES`].
pub type Tally = [i64; NAMES.len()];

/// A large project.
struct Kept {
    parts: HashMap<i64, Tally>,
    total: Tally,
    since: Instant,
    used: Instant,
}

/// The counts of large projects.
#[derive(Default)]
pub struct Counts {
    kept: HashMap<i64, Kept>,
    /// Buckets whose locks this session holds, and those whose locks could not be had, each with the time when a project
    /// of it was counted last, or the lock was asked for.
    held: HashMap<i32, Instant>,
    refused: HashMap<i32, Instant>,
    /// Large projects whose counts are not kept yet: they are when they are counted next and the lock is held.
    large: BTreeSet<i64>,
    /// Whether triggers are missing that would note what changes.
    lacks_notes: bool,
    cleaned: Option<Instant>,
}

impl Counts {
    /// The counts of projects in the snapshot of the caller's transaction, which must not have begun before the last
    /// call of [`Counts::keep`] has ended.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn of(
        &mut self,
        client: &Prepared<'_, impl GenericClient>,
        projects: &BTreeSet<i64>,
    ) -> Result<HashMap<i64, Tally>> {
        let now = Instant::now();
        for project in projects {
            if let Some(at) = self.held.get_mut(&lock::counts_key(*project)) {
                *at = now;
            }
        }
        if !self.held.is_empty() {
            let to_keep =
                projects.iter().copied().filter(|project| self.large.contains(project) && self.holds(*project));
            self.recount(client, to_keep.collect()).await?;
        }
        let mut counts = HashMap::new();
        let mut others = Vec::new();
        for project in projects {
            match self.kept.get_mut(project) {
                Some(kept) => {
                    kept.used = now;
                    counts.insert(*project, kept.total);
                }
                None => others.push(*project),
            }
        }
        if others.is_empty() {
            return Ok(counts);
        }
        let has_room = self.kept.values().map(|kept| kept.parts.len()).sum::<usize>() < MAXIMUM_PARTS;
        for row in client.query(COUNT, &[&others]).await.context("counting projects")? {
            let (project, tally) = (row.get("id"), tally(&row));
            counts.insert(project, tally);
            if tally[0] + tally[2] >= LARGE && has_room && !self.lacks_notes {
                self.large.insert(project);
            }
        }
        Ok(counts)
    }

    /// Whether writers note what changes in a project.
    fn holds(&self, project: i64) -> bool {
        self.held.contains_key(&lock::counts_key(project))
    }

    /// Counts anew what has changed of projects that are kept, and all parts of those that are to be. Where the
    /// transaction is rolled back the notes are there again, and what was counted is as true.
    async fn recount(&mut self, client: &Prepared<'_, impl GenericClient>, to_keep: Vec<i64>) -> Result<()> {
        let projects: Vec<i64> = self.kept.keys().copied().collect();
        let rows = client.query(RECOUNT, &[&projects, &to_keep]).await.context("counting parts of projects")?;
        let now = Instant::now();
        for project in to_keep {
            self.large.remove(&project);
            self.kept.insert(project, Kept { parts: HashMap::new(), total: Tally::default(), since: now, used: now });
        }
        for row in rows {
            let Some(Kept { parts, total, .. }) = self.kept.get_mut(&row.get("id")) else {
                continue;
            };
            let fresh = tally(&row);
            let before = parts.insert(row.get("part"), fresh).unwrap_or_default();
            for ((total, fresh), before) in total.iter_mut().zip(fresh).zip(before) {
                *total += fresh - before;
            }
        }
        Ok(())
    }

    /// Lets the counts of large projects be kept from here on. To be called between transactions, by a session that lives
    /// on.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn keep(&mut self, database: &Prepared<'_, Client>) -> Result<()> {
        let buckets: BTreeSet<i32> = self.large.iter().map(|project| lock::counts_key(*project)).collect();
        for bucket in buckets {
            let is_refused = self.refused.get(&bucket).is_some_and(|asked| asked.elapsed() < LOCK_INTERVAL);
            if self.held.contains_key(&bucket) || is_refused {
                continue;
            }
            match lock::lock_counts(database, bucket).await {
                Ok(()) => {
                    self.refused.remove(&bucket);
                    self.held.insert(bucket, Instant::now());
                }
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    self.refused.insert(bucket, Instant::now());
                }
                Err(error) => return Err(error).context("taking the lock of a project's counts"),
            }
        }
        Ok(())
    }

    /// Forgets what is old, what nobody has asked for, and what nobody needs. To be called between transactions.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn review(&mut self, database: &Prepared<'_, Client>) -> Result<()> {
        self.kept.retain(|_, kept| kept.since.elapsed() < MAXIMUM_AGE && kept.used.elapsed() < UNUSED);
        let unused = self.held.iter().filter(|(_, used)| used.elapsed() > UNUSED).map(|(bucket, _)| *bucket);
        for bucket in unused.collect::<Vec<_>>() {
            self.held.remove(&bucket);
            self.kept.retain(|project, _| lock::counts_key(*project) != bucket);
            lock::unlock_counts(database, bucket).await.context("releasing the lock of a project's counts")?;
        }
        if self.kept.is_empty() && self.cleaned.is_none_or(|cleaned| cleaned.elapsed() > CLEANING) {
            self.cleaned = Some(Instant::now());
            database.execute("delete from lshookd.recount", &[]).await.context("deleting from lshookd.recount")?;
        }
        Ok(())
    }

    /// Takes all counts anew: something may have changed that nobody noted.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    /// Keeps no counts as long as triggers are missing.
    pub fn lack_notes(&mut self, lack: bool) {
        self.lacks_notes = lack;
        if lack {
            self.kept.clear();
            self.large.clear();
        }
    }
}

fn tally(row: &Row) -> Tally {
    NAMES.map(|name| row.get(name))
}
