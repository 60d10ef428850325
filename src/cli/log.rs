//! The log: to standard error, as text or JSON, and under systemd with the priorities of the journal.

use std::io::IsTerminal;

use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};

use crate::config::Logging;

/// Starts the log.
pub fn start(logging: Logging) {
    // The migration runner says on standard output what it did; its log says so again.
    let filter = format!("refinery_core=warn,{}", logging.filter);
    let mut filter = tracing_subscriber::EnvFilter::new(filter);
    // Below that it writes the parameters of statements, and with them bodies and secrets.
    filter = match "tokio_postgres=info".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && !super::is_plain())
        .with_writer(std::io::stderr);
    if logging.json {
        builder.json().flatten_event(true).init();
    } else if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.event_format(JournalLines(Format::default().with_target(false).with_ansi(false).without_time())).init();
    } else {
        builder.with_target(false).init();
    }
}

/// Lines for the journal, which knows the time itself and takes the priority from the beginning of a line
/// (sd-daemon(3)).
struct JournalLines<F>(F);

impl<S, N, F> FormatEvent<S, N> for JournalLines<F>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let priority = match *event.metadata().level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            _ => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}
