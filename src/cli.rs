//! The command line: what is asked, and what is printed. The work itself is in [`ops`].
//!
//! Promises: a command prints tables or sentences for people and, with `--json`, JSON for programs, errors included.

#[macro_use]
mod terminal;
mod delivery;
mod event;
mod log;
mod output;
mod rule;
mod status;
mod webhook;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{CommandFactory, Parser, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::Client;

use crate::admin;
use crate::config::{Flags, Logging, SettingError, Settings, Sources};
use crate::daemon;
use crate::error::{Code, Failure};
use crate::model::Action;
use crate::ops::audit::{self, Change, Way};
use crate::ops::uninstall::uninstall;
use crate::ops::{self, connect};
use crate::schema::install;
use delivery::DeliveryCommand;
use event::EventCommand;
use output::Output;
use rule::RuleCommand;
use webhook::WebhookCommand;

/// Pause between attempts to reach PostgreSQL again.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

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
        /// Print the SQL, for psql, that creates a role to install as and one to run as
        #[arg(long, conflicts_with = "dry_run")]
        print_roles: bool,
        /// Adopt every active webhook from Label Studio
        #[arg(long, conflicts_with_all = ["dry_run", "print_roles"])]
        adopt_all: bool,
    },
    /// Release adopted webhooks, and remove everything of lshookd's from the database
    #[command(after_help = "Example: lshookd uninstall --yes")]
    Uninstall {
        /// Confirm; without, only say what would be lost
        #[arg(long)]
        yes: bool,
    },
    /// Run the daemon: capture, plan and deliver until SIGTERM; SIGHUP reloads the configuration
    #[command(after_help = "Example: lshookd run --allow 10.1.0.0/16,trainer.internal")]
    Run,
    /// Check everything that can be wrong, and say what to do about it
    ///
    /// Ends with 0 if there is no error, with 1 if there is.
    #[command(after_help = "Example: lshookd check --strict --json")]
    Check {
        /// End with 1 for warnings, too
        #[arg(long)]
        strict: bool,
    },
    /// Show what is pending, what fails, and which daemons are active
    #[command(after_help = "Example: lshookd status --watch")]
    Status {
        /// Repeat every two seconds
        #[arg(long, short)]
        watch: bool,
    },
    /// List, create, update and delete webhooks, and say who delivers them
    #[command(subcommand, after_help = "Example: lshookd webhook adopt --all")]
    Webhook(WebhookCommand),
    /// List deliveries, and retry, skip or replay them
    #[command(subcommand, after_help = "Example: lshookd delivery list --state dead")]
    Delivery(DeliveryCommand),
    /// Filter, throttle and rewrite the events of webhooks
    #[command(subcommand, after_help = "Example: lshookd rule apply rules.toml")]
    Rule(RuleCommand),
    /// List events, listen to them, and announce what existed before
    #[command(subcommand, after_help = "Example: lshookd event listen --project 7")]
    Event(EventCommand),
    /// Hash a password, read from the terminal or the first line of standard input, for the setting `admin_password`
    #[command(after_help = "Example: lshookd hash-password")]
    HashPassword,
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

/// Runs the program: exit code 0 on success, 1 on failure, 2 on a usage error.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let outcome = execute(cli).and_then(|success| match terminal::failure() {
        Some(reason) => Err(anyhow::anyhow!("standard output cannot be written: {reason}")),
        None => Ok(success),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let code = Code::of(&error);
            match json {
                true => eprintln!("{}", json!({ "error": format!("{error:#}"), "code": code.name() })),
                false => eprintln!("lshookd: {error:#} [{}]", code.name()),
            }
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
        Command::HashPassword => {
            say!("{}", admin::hash(&password()?)?);
            return Ok(true);
        }
        _ => {}
    }
    let read = || Sources::read(&cli.flags, cli.config.as_deref(), cli.environment_file.as_deref());
    let unusable = |error: SettingError| Failure::new(Code::Setting, error.to_string());
    let sources = read().map_err(unusable)?;
    let settings = Settings::from(&sources).map_err(unusable)?;
    log::start(Logging::from(&sources).map_err(unusable)?);
    for warning in sources.warnings() {
        tracing::warn!("{warning}");
    }
    let output = Output { json: cli.json };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Check { strict } => return Ok(status::run_check(&settings, strict, output).await),
            Command::Run => {
                let reread = || -> Result<Settings, SettingError> { Settings::from(&read()?) };
                Box::pin(daemon::run(settings, reread)).await?;
            }
            command => noted(command, &settings, output).await?,
        }
        Ok(true)
    });
    // What is left are names that still are being resolved, which nobody waits for and nobody can break off.
    runtime.shutdown_background();
    outcome
}

/// Runs one of the commands that do their work and end.
async fn operate(command: Command, settings: &Settings, output: Output) -> Result<()> {
    let schema = settings.label_studio_schema.as_deref();
    let tell = |text: &str| {
        say!("{text}");
    };
    match command {
        Command::Install { print_roles: true, .. } => {
            say!("{}", install::roles(&settings.server, schema).await?);
            Ok(())
        }
        Command::Install { dry_run, adopt_all, .. } => {
            install::install(&settings.server, schema, dry_run, tell).await?;
            match adopt_all {
                true => webhook::adopt(&mut connect(settings).await?, settings, None, false, output).await,
                false => Ok(()),
            }
        }
        Command::Uninstall { yes } => uninstall(&settings.server, schema, yes, tell).await,
        Command::Status { watch } => status::show(connect(settings).await?, settings, watch, output).await,
        Command::Webhook(command) => webhook::run(&mut connect(settings).await?, settings, command, output).await,
        Command::Delivery(command) => delivery::run(connect(settings).await?, settings, command, output).await,
        Command::Rule(command) => rule::run(&mut connect(settings).await?, &command, output).await,
        Command::Event(command) => event::run(connect(settings).await?, settings, command, output).await,
        // The others were run before.
        Command::Run
        | Command::Check { .. }
        | Command::HashPassword
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(()),
    }
}

/// Notes in the audit log what a command changes, and how that ended.
async fn noted(command: Command, settings: &Settings, output: Output) -> Result<()> {
    let change = match &command {
        Command::Webhook(command) => command.change(),
        Command::Delivery(command) => command.change(),
        Command::Rule(command) => command.change(),
        Command::Event(command) => command.change(),
        _ => None,
    };
    let operating = Box::pin(operate(command, settings, output));
    let Some((what, subject)) = change else {
        return operating.await;
    };
    let notes = connect(settings).await?;
    let who = audit::account(&notes).await?;
    let change = Change { who: &who, way: Way::Command, what, subject: &subject, detail: None };
    audit::audited(&notes, &change, operating).await
}

/// A password that is typed, or the first line of standard input.
fn password() -> Result<String> {
    let password = match std::io::stdin().is_terminal() {
        true => rpassword::prompt_password("Password: ").context("reading the password from the terminal")?,
        false => std::io::stdin().lines().next().transpose().context("reading standard input")?.unwrap_or_default(),
    };
    if password.is_empty() {
        fail!(Choice, "there is no password on standard input");
    }
    Ok(password)
}

/// Connects again where PostgreSQL went away, and waits until it is back.
///
/// # Errors
/// When it is back and does not have this installation any more.
async fn reconnect(settings: &Settings) -> Result<Client> {
    eprintln!("lshookd: the connection to PostgreSQL was lost; reconnecting");
    loop {
        match ops::connect(settings).await {
            Err(error) if Code::of(&error) == Code::Database => tokio::time::sleep(RECONNECT_INTERVAL).await,
            connected => return connected,
        }
    }
}

/// Whether output shall have no colors (<https://no-color.org>).
fn is_plain() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The name of an action, in capitals or not.
fn action() -> impl TypedValueParser<Value = Action> {
    names(None).try_map(|name| name.parse::<Action>())
}

/// The name of an action, or a word in place of all of them.
fn action_or(word: &'static str) -> impl TypedValueParser<Value = String> {
    names(Some(word))
}

fn names(word: Option<&'static str>) -> impl TypedValueParser<Value = String> {
    ActionNames(PossibleValuesParser::new(word.into_iter().chain(Action::ALL.iter().map(|action| action.name()))))
}

/// Names that complete, and are known in capitals or not.
#[derive(Clone)]
struct ActionNames(PossibleValuesParser);

impl TypedValueParser for ActionNames {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        let given = value.to_string_lossy();
        let known = self.possible_values().into_iter().flatten();
        let spelled = known.map(|name| name.get_name().to_owned()).find(|name| name.eq_ignore_ascii_case(&given));
        self.0.parse_ref(command, argument, spelled.as_ref().map_or(value, |name| name.as_ref()))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// A moment, or how long ago it was.
fn time(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(ago) = humantime::parse_duration(text) {
        return Timestamp::now().checked_sub(ago).map_err(|error| error.to_string());
    }
    text.parse::<Timestamp>()
        .or_else(|_| format!("{text}T00:00:00Z").parse())
        .or_else(|_| format!("{}Z", text.replace(' ', "T")).parse())
        .map_err(|_| "expected a time such as 2026-11-24T15:00:00Z or 2026-11-24, or an age such as 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_an_example() {
        Cli::command().debug_assert();
        let mut commands: Vec<(String, clap::Command)> =
            Cli::command().get_subcommands().map(|each| (String::new(), each.clone())).collect();
        while let Some((group, command)) = commands.pop() {
            let name = format!("{group}{}", command.get_name());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("lshookd {name}")), "{name}");
            // Settings are flags of every command.
            let is_setting = |id: &str| crate::config::SETTINGS.iter().any(|setting| setting.key == id);
            let own = command.get_arguments().map(|argument| argument.get_id().as_str());
            assert_eq!(own.filter(|id| is_setting(id)).collect::<Vec<_>>(), [""; 0], "{name}");
            commands.extend(command.get_subcommands().map(|each| (format!("{name} "), each.clone())));
        }
    }

    #[test]
    fn a_time_is_a_moment_a_day_or_an_age() {
        let day: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        assert_eq!(time("2026-11-24"), Ok(day));
        assert_eq!(time("2026-11-24T00:00:00Z"), Ok(day));
        assert_eq!(time("2026-11-24 00:00:00"), Ok(day));
        assert!(time("2h").unwrap() < Timestamp::now());
        assert!(time("soon").is_err());
    }
}
