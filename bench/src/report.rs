//! The table.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;

/// What so many of a hundred do not exceed, of values in ascending order.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// The results so far.
pub struct Report {
    started: Instant,
    rows: Vec<[String; 6]>,
}

impl Report {
    /// An empty one; prints its head.
    pub fn begin() -> Report {
        println!(
            "{:>6}  {:<70}{:>14}{:>14}{:>8}{:>16}  goal",
            "after", "what", "lshookd", "reference", "ratio", "from to"
        );
        Report { started: Instant::now(), rows: Vec::new() }
    }

    /// A figure in pairs of ours and the reference's, in this unit.
    pub fn pairs(&mut self, what: &str, unit: &str, pairs: &[(f64, f64)], goal: &str) {
        let mut ratios: Vec<f64> = pairs.iter().map(|(ours, reference)| ours / reference).collect();
        ratios.sort_by(f64::total_cmp);
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let ours = median(pairs.iter().map(|pair| pair.0).collect());
        let reference = median(pairs.iter().map(|pair| pair.1).collect());
        let spread = format!("{:.2} {:.2}", ratios[0], ratios[ratios.len() - 1]);
        let figure =
            |value: f64| if value < 10.0 { format!("{value:.2} {unit}") } else { format!("{value:.0} {unit}") };
        self.row([
            what.to_owned(),
            figure(ours),
            figure(reference),
            format!("{:.2}", median(ratios)),
            spread,
            goal.to_owned(),
        ]);
    }

    /// A figure by itself.
    pub fn alone(&mut self, what: &str, figure: String, goal: &str) {
        self.row([what.to_owned(), figure, "–".to_owned(), String::new(), String::new(), goal.to_owned()]);
    }

    fn row(&mut self, row: [String; 6]) {
        let seconds = self.started.elapsed().as_secs();
        println!("{seconds:>4} s  {:<70}{:>14}{:>14}{:>8}{:>16}  {}", row[0], row[1], row[2], row[3], row[4], row[5]);
        self.rows.push(row);
    }

    /// Writes `bench/results.md`; names the `versions` of what it was measured with.
    pub fn end(self, versions: &str) -> Result<()> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processor =
            read("/proc/cpuinfo").lines().find_map(|line| line.strip_prefix("model name\t: ").map(str::to_owned));
        let memory =
            read("/proc/meminfo").lines().next().unwrap_or_default().split_whitespace().nth(1).map(str::to_owned);
        let gigabytes = memory.and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or_default() / 1e6;
        let cores = std::thread::available_parallelism()?;
        let mut text = format!(
            "# Results\n\nBy `make bench` with {versions}, on {cores} cores ({}), {gigabytes:.0} GB of memory, Linux {}, the program and its \
             endpoints and PostgreSQL all on this machine; in {:.0} s. Ratios are medians of runs in pairs, one after the \
             other, with the smallest and the largest.\n\n| what | lshookd | reference | ratio | from, to | goal |\n\
             | --- | --- | --- | --- | --- | --- |\n",
            processor.unwrap_or_default(),
            read("/proc/sys/kernel/osrelease").split('-').next().unwrap_or_default().trim(),
            self.started.elapsed().as_secs_f64(),
        );
        for row in &self.rows {
            writeln!(text, "| {} |", row.join(" | "))?;
        }
        text.push_str(include_str!("../notes.md"));
        std::fs::write("bench/results.md", text)?;
        println!("in {:.0} s; written to bench/results.md", self.started.elapsed().as_secs_f64());
        Ok(())
    }
}
