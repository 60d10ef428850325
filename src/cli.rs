//! The command line.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

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

    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Install lshookd in Label Studio's database, or upgrade it
    Install {
        /// Print the SQL that would be run, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Print the SQL, for psql, that makes a role to install as and one to run as
        #[arg(long, conflicts_with = "dry_run")]
        print_roles: bool,
    },
    /// Remove everything of lshookd's from the database
    Uninstall {
        /// Really do it; without, only say what would be lost
        #[arg(long)]
        yes: bool,
    },
    /// Run the daemon: capture, plan and deliver until SIGTERM
    Run,
}

/// Runs the program: 0 when all went well, 1 when it did not, 2 when it was asked wrongly.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lshookd: {error:#}");
            ExitCode::from(if error.is::<SettingError>() { 2 } else { 1 })
        }
    }
}

fn execute(cli: Cli) -> Result<()> {
    let sources = Sources::read(&cli.flags, cli.config.as_deref())?;
    let settings = Settings::from(&sources)?;
    start_log(Logging::from(&sources)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let schema = settings.label_studio_schema.clone();
    let schema = schema.as_deref();
    runtime.block_on(async {
        match cli.command {
            Command::Install { print_roles: true, .. } => install::print_roles(&settings.server, schema).await,
            Command::Install { dry_run, .. } => install::run(&settings.server, schema, dry_run).await,
            Command::Uninstall { yes } => uninstall::run(&settings.server, schema, yes).await,
            Command::Run => daemon::run(settings).await,
        }
    })
}

fn start_log(logging: Logging) {
    // The migration runner tells on standard output what it did; its log says it again.
    let filter = format!("refinery_core=warn,{}", logging.filter);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if logging.json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_target(false).init();
    }
}
