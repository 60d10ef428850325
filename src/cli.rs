//! The command line.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};

use crate::command::{
    Chosen, Output, adopt, backfill, check, connect, deliveries, extend, listen, pause, replay, rules, secret, status,
    subscribe, subscriptions, tail, test,
};
use crate::event::Action;
use crate::failure::Code;
use crate::settings::{Flags, Logging, SettingError, Settings, Sources};
use crate::{daemon, install, uninstall};

/// Delivers Label Studio's webhooks out of PostgreSQL: every event, durably, in order.
///
/// Each setting can be a flag, an environment variable, or a key of the configuration file,
/// in this order. `lshookd run --help` lists them all.
#[derive(Parser)]
#[command(name = "lshookd", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Configuration file (TOML) [default: /etc/lshookd/lshookd.toml, where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Environment file, read as systemd reads it [default: /etc/lshookd/environment, if readable]
    #[arg(long, global = true, value_name = "FILE")]
    environment_file: Option<PathBuf>,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Install lshookd in Label Studio's database, or upgrade it
    #[command(after_help = "Example: lshookd install --adopt-all")]
    Install {
        /// Print the SQL that would be run, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Print the SQL, for psql, that makes a role to install as and one to run as
        #[arg(long, conflicts_with = "dry_run")]
        print_roles: bool,
        /// Take every active webhook over from Label Studio
        #[arg(long, conflicts_with_all = ["dry_run", "print_roles"])]
        adopt_all: bool,
    },
    /// Give adopted webhooks back, and remove everything of lshookd's from the database
    #[command(after_help = "Example: lshookd uninstall --yes")]
    Uninstall {
        /// Really do it; without, only say what would be lost
        #[arg(long)]
        yes: bool,
    },
    /// Run the daemon: capture, plan and deliver until SIGTERM; SIGHUP reads the settings again
    #[command(after_help = "Example: lshookd run --allow 10.1.0.0/16,trainer.internal")]
    Run,
    /// Look for everything that can be wrong, and say what to do about it
    ///
    /// Ends with 0 if there is no error, with 1 if there is.
    #[command(after_help = "Example: lshookd check --strict --json")]
    Check {
        /// End with 1 for warnings, too
        #[arg(long)]
        strict: bool,
    },
    /// Show what waits, what fails and who is at work
    #[command(after_help = "Example: lshookd status --watch")]
    Status {
        /// Again every two seconds
        #[arg(long, short)]
        watch: bool,
    },
    /// List Label Studio's webhooks: who delivers each, and how it fares
    #[command(after_help = "Example: lshookd subscriptions --json")]
    Subscriptions,
    /// Make a webhook, of a project or of the organization, that lshookd delivers
    #[command(after_help = "Example: lshookd subscribe https://trainer.example.com/hook --project 7 \
                            --actions ANNOTATION_CREATED,ANNOTATION_UPDATED")]
    Subscribe(subscribe::Subscribe),
    /// Give a webhook what Label Studio does not have: more actions, what was deleted, what was before
    #[command(after_help = "Example: lshookd extend 12 --actions TASKS_COMPLETED,PROJECT_COMPLETED --enrich-deletions")]
    Extend(extend::Extend),
    /// Conditions, thresholds and bodies of one's own
    #[command(subcommand, after_help = "Example: lshookd rules apply rules.toml")]
    Rules(rules::Rules),
    /// Delete webhooks; what waits for them is cancelled
    #[command(after_help = "Example: lshookd unsubscribe 12 --yes")]
    Unsubscribe {
        /// Webhooks, by their number in Label Studio
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
        /// Also when deliveries wait
        #[arg(long)]
        yes: bool,
    },
    /// Deliver webhooks in Label Studio's place: it shows them as inactive
    #[command(after_help = "Example: lshookd adopt --all")]
    Adopt {
        #[command(flatten)]
        chosen: Chosen,
        /// Also webhooks that ask for actions which lshookd cannot make, and which nobody delivers then
        #[arg(long)]
        force: bool,
    },
    /// Give adopted webhooks back to Label Studio
    #[command(after_help = "Example: lshookd release 12")]
    Release(Chosen),
    /// List deliveries, or show one in full with its attempts
    #[command(after_help = "Examples: lshookd deliveries --state dead --since 2h\n          lshookd deliveries 4711")]
    Deliveries {
        /// One, by its number or its webhook-id
        #[arg(conflicts_with_all = ["subscription", "action", "project", "state", "since", "until", "limit"])]
        delivery: Option<String>,
        #[command(flatten)]
        filter: deliveries::Filter,
        /// List so many at most, the newest
        #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Send ended deliveries again, under the webhook-id that their receiver knows
    #[command(after_help = "Examples: lshookd replay --state dead --dry-run\n          lshookd replay 4711 4712")]
    Replay {
        /// Deliveries, by their numbers
        #[arg(value_name = "DELIVERY")]
        ids: Vec<i64>,
        #[command(flatten)]
        filter: deliveries::Filter,
        /// Only count
        #[arg(long)]
        dry_run: bool,
    },
    /// Announce to a webhook what existed before it
    #[command(after_help = "Example: lshookd backfill 12 --action ANNOTATION_CREATED --project 7 --rate 100")]
    Backfill(backfill::Backfill),
    /// Send a real, signed sample of an action to a webhook, and show the answer
    #[command(after_help = "Example: lshookd test 12 --action TASKS_CREATED")]
    Test {
        /// The webhook, by its number in Label Studio
        #[arg(value_name = "ID")]
        subscription: i64,
        /// What to send
        #[arg(long, short, default_value = "ANNOTATION_CREATED")]
        action: Action,
    },
    /// Print events as they come, without delivering them
    #[command(after_help = "Example: lshookd listen --project 7 --forward http://localhost:8000/hook")]
    Listen(listen::Listen),
    /// Print attempts of deliveries as they are recorded
    #[command(after_help = "Example: lshookd tail --subscription 12")]
    Tail {
        /// Of this webhook
        #[arg(long, short, value_name = "ID")]
        subscription: Option<i64>,
    },
    /// Show what a webhook's requests are signed with, or give it a new secret
    #[command(after_help = "Example: lshookd secret 12 --rotate")]
    Secret {
        /// The webhook, by its number in Label Studio
        #[arg(value_name = "ID")]
        subscription: i64,
        /// Make a new secret; for a day requests are signed by the old one, too
        #[arg(long)]
        rotate: bool,
    },
    /// Let the deliveries of webhooks wait
    #[command(after_help = "Example: lshookd pause 12")]
    Pause(Chosen),
    /// Let the deliveries of paused webhooks go on
    #[command(after_help = "Example: lshookd resume --all")]
    Resume(Chosen),
    /// Print the completions for a shell
    #[command(after_help = "Example: lshookd completions bash >/etc/bash_completion.d/lshookd")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder
    #[command(after_help = "Example: lshookd man /usr/local/share/man/man1")]
    Man {
        /// The folder
        folder: PathBuf,
    },
}

/// Runs the program: 0 when all went well, 1 when it did not, 2 when it was asked wrongly.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let code = Code::of(&error);
            eprintln!("lshookd: {error:#} [{}]", code.name());
            ExitCode::from(if code == Code::Setting { 2 } else { 1 })
        }
    }
}

/// Runs a command; `false` if it found something wrong and has said so.
fn execute(cli: Cli) -> Result<bool> {
    match &cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "lshookd", &mut script);
            say!("{}", String::from_utf8_lossy(&script));
            return Ok(true);
        }
        Command::Man { folder } => {
            clap_mangen::generate_to(Cli::command(), folder)
                .with_context(|| format!("writing to {}", folder.display()))?;
            return Ok(true);
        }
        _ => {}
    }
    let read = || Sources::read(&cli.flags, cli.config.as_deref(), cli.environment_file.as_deref());
    let sources = read()?;
    let settings = Settings::from(&sources)?;
    start_log(Logging::from(&sources)?);
    for warning in sources.warnings() {
        tracing::warn!("{warning}");
    }
    let output = Output { json: cli.json };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Check { strict } => return check::run(&settings, strict, output).await,
            Command::Run => {
                let reread = || -> Result<Settings, SettingError> { Settings::from(&read()?) };
                daemon::run(settings, reread).await?;
            }
            command => operate(command, &settings, output).await?,
        }
        Ok(true)
    })
}

/// Runs one of the commands that do their work and end.
async fn operate(command: Command, settings: &Settings, output: Output) -> Result<()> {
    let schema = settings.label_studio_schema.as_deref();
    match command {
        Command::Install { print_roles: true, .. } => return install::print_roles(&settings.server, schema).await,
        Command::Install { dry_run, adopt_all, .. } => {
            install::run(&settings.server, schema, dry_run).await?;
            if adopt_all {
                adopt::adopt(&mut connect(settings).await?, &Chosen::everything(), false, output).await?;
            }
            return Ok(());
        }
        Command::Uninstall { yes } => return uninstall::run(&settings.server, schema, yes).await,
        _ => {}
    }
    let mut client = connect(settings).await?;
    match command {
        Command::Status { watch } => status::run(&client, watch, output).await,
        Command::Subscriptions => subscriptions::run(&client, output).await,
        Command::Subscribe(wanted) => subscribe::subscribe(&mut client, &wanted, output).await,
        Command::Rules(wanted) => rules::run(&mut client, &wanted, output).await,
        Command::Extend(wanted) => extend::run(&client, &wanted, output).await,
        Command::Unsubscribe { ids, yes } => subscribe::unsubscribe(&mut client, &ids, yes, output).await,
        Command::Adopt { chosen, force } => adopt::adopt(&mut client, &chosen, force, output).await,
        Command::Release(chosen) => adopt::release(&mut client, &chosen, output).await,
        Command::Deliveries { delivery: Some(id), .. } => deliveries::show(&client, &id, output).await,
        Command::Deliveries { filter, limit, .. } => deliveries::list(&client, &filter, limit, output).await,
        Command::Replay { ids, filter, dry_run } => replay::run(&client, &ids, &filter, dry_run, output).await,
        Command::Backfill(wanted) => backfill::run(&mut client, settings, &wanted, output).await,
        Command::Test { subscription, action } => test::run(&client, settings, subscription, action, output).await,
        Command::Listen(wanted) => listen::run(&client, settings, &wanted, output).await,
        Command::Tail { subscription } => tail::run(&client, subscription, output).await,
        Command::Secret { subscription, rotate } => secret::run(&client, subscription, rotate, output).await,
        Command::Pause(chosen) => pause::pause(&client, &chosen, output).await,
        Command::Resume(chosen) => pause::resume(&client, &chosen, output).await,
        // The others were run before.
        _ => Ok(()),
    }
}

fn start_log(logging: Logging) {
    // The migration runner tells on standard output what it did; its log says it again.
    let filter = format!("refinery_core=warn,{}", logging.filter);
    let mut filter = tracing_subscriber::EnvFilter::new(filter);
    // Below that it writes the parameters of statements, and with them bodies and secrets.
    filter = match "tokio_postgres=info".parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_an_example() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("lshookd {}", command.get_name())), "{}", command.get_name());
        }
    }
}
