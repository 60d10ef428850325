//! Where settings come from: the command line, the environment, the configuration file.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::Path;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::{Listed, SETTINGS, Setting, SettingError, environment_file};

const DEFAULT_FILE: &str = "/etc/lshookd/lshookd.toml";
const DEFAULT_ENVIRONMENT_FILE: &str = "/etc/lshookd/environment";

/// Settings given on the command line; one flag for each row of [`SETTINGS`].
#[derive(Debug, Clone, Default)]
pub struct Flags(HashMap<&'static str, String>);

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                self.0.insert(setting.key, value.clone());
            }
        }
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.next_help_heading("Settings").args(SETTINGS.iter().map(|setting| {
            let default = setting.default.filter(|text| !text.is_empty() && !setting.is_secret());
            let default = default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
            let help = format!("{}{default} [env: {}]", setting.help, setting.variable_name());
            Arg::new(setting.key)
                .long(setting.key.replace('_', "-"))
                .value_name("VALUE")
                .global(true)
                .hide_short_help(true)
                .help(help.clone())
                // Manual pages show this one alone of what the short help hides.
                .long_help(help)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Every setting's text and where it came from.
#[derive(Debug)]
pub struct Sources {
    values: HashMap<&'static str, (String, Option<String>)>,
    warnings: Vec<String>,
    looked_at: String,
}

/// A file of settings, and whether it was there.
struct File {
    name: String,
    state: &'static str,
    text: String,
}

impl File {
    /// The file that is named, which must be there, or the default one.
    fn read(path: Option<&Path>, default: &str) -> Result<File, SettingError> {
        let name = path.map_or_else(|| default.to_owned(), |path| path.display().to_string());
        match std::fs::read_to_string(&name) {
            Ok(text) => Ok(File { name, state: "read", text }),
            Err(error) if path.is_none() && error.kind() == ErrorKind::NotFound => {
                Ok(File { name, state: "not there", text: String::new() })
            }
            Err(error) => Err(SettingError::File { path: name, reason: error.to_string() }),
        }
    }
}

impl Sources {
    /// Reads the environment, the environment file and the configuration file: those that are named, or the default
    /// ones where they are there.
    ///
    /// # Errors
    /// When a file that is named, or the default configuration file, is there and cannot be read, or a key in it or an
    /// `LSHOOKD_` variable is no setting.
    pub fn read(flags: &Flags, path: Option<&Path>, environment_file: Option<&Path>) -> Result<Sources, SettingError> {
        let file = File::read(path, DEFAULT_FILE)?;
        let variables = match File::read(environment_file, DEFAULT_ENVIRONMENT_FILE) {
            // The service manager reads it as root and hands its variables over; others may not have to.
            Err(_) if environment_file.is_none() => {
                File { name: DEFAULT_ENVIRONMENT_FILE.to_owned(), state: "not readable", text: String::new() }
            }
            read => read?,
        };
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Sources::merge(flags, &environment, &variables, &file)
    }

    fn merge(
        flags: &Flags,
        environment: &BTreeMap<String, String>,
        variables: &File,
        file: &File,
    ) -> Result<Sources, SettingError> {
        let file_table = parse_file(&file.name, &file.text)?;
        let from_variables = environment_file::parse(&variables.text);
        let mut warnings = Vec::new();
        for (names, origin) in [(environment, "environment"), (&from_variables, variables.name.as_str())] {
            warnings.extend(unknown_variables(names, origin)?);
            warnings.extend(unheeded_variables(names, origin));
        }
        let mut values = HashMap::new();
        for setting in SETTINGS {
            let from_flag = || {
                let text = flags.0.get(setting.key)?.clone();
                Some((text, Some(format!("flag --{}", setting.key.replace('_', "-")))))
            };
            // An empty variable of these stands for none, as in a template that was not filled.
            let is_set = |text: &&String| !(setting.default.is_none() && text.is_empty());
            let from = |names: &BTreeMap<String, String>, origin: &str| {
                setting.variables().into_iter().find_map(|name| {
                    let text = names.get(&name).filter(is_set)?.clone();
                    Some((text, Some(format!("{origin} {name}"))))
                })
            };
            let from_environment =
                || from(environment, "environment").or_else(|| from(&from_variables, &variables.name));
            let from_file = || Some((file_table.get(setting.key)?.clone(), Some(file.name.clone())));
            let from_default = || Some((setting.default?.to_owned(), None));
            let value = from_flag().or_else(from_environment).or_else(from_file).or_else(from_default);
            if let Some(value) = value {
                values.insert(setting.key, value);
            }
        }
        let looked_at = [variables, file].map(|file| format!("{} ({})", file.name, file.state)).join(" and ");
        Ok(Sources { values, warnings, looked_at })
    }

    /// What is worth a word about the environment.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The files, each with whether it was there.
    pub fn looked_at(&self) -> &str {
        &self.looked_at
    }

    /// Every setting that has a value, as people may see it, and where it came from.
    pub fn listed(&self) -> impl Iterator<Item = Listed> {
        SETTINGS.iter().filter_map(|setting| {
            let (value, origin) = self.values.get(setting.key)?;
            let value = if setting.is_secret() { "(hidden)" } else { value.as_str() };
            let origin = origin.as_deref().unwrap_or(Listed::DEFAULT);
            Some(Listed { key: setting.key.to_owned(), value: value.to_owned(), origin: origin.to_owned() })
        })
    }

    /// Whether nobody set it.
    pub fn is_default(&self, key: &str) -> bool {
        self.values.get(key).is_none_or(|(_, origin)| origin.is_none())
    }

    /// A setting that has a default.
    pub fn parse<T>(&self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, SettingError> {
        let missing = || SettingError::Invalid { key, origin: "nowhere".to_owned(), reason: "is not set".to_owned() };
        self.parse_optional(key, parse)?.ok_or_else(missing)
    }

    /// A setting that may be missing.
    pub fn parse_optional<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingError> {
        let Some((text, origin)) = self.values.get(key) else {
            return Ok(None);
        };
        let origin = || origin.clone().unwrap_or_else(|| "default".to_owned());
        parse(text).map(Some).map_err(|reason| SettingError::Invalid { key, origin: origin(), reason })
    }

    /// As it would be read from these.
    #[cfg(test)]
    pub fn for_test(
        flags: &[(&'static str, &str)],
        environment: &[(&str, &str)],
        file: &str,
    ) -> Result<Sources, SettingError> {
        let flags = Flags(flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect());
        let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let none = File { name: "environment file".to_owned(), state: "not there", text: String::new() };
        let file = File { name: "lshookd.toml".to_owned(), state: "read", text: file.to_owned() };
        Sources::merge(&flags, &environment, &none, &file)
    }
}

/// The file's keys and values, the values as one would write them in a variable.
fn parse_file(name: &str, text: &str) -> Result<HashMap<String, String>, SettingError> {
    let wrong = |reason: String| SettingError::File { path: name.to_owned(), reason };
    // The parser's full message quotes the line, which may hold a password.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        wrong(format!("line {line}: {}", error.message()))
    })?;
    let mut values = HashMap::new();
    for (key, value) in table {
        if !SETTINGS.iter().any(|setting| setting.key == key) {
            return Err(unknown(&key, name, SETTINGS.iter().map(|setting| setting.key)));
        }
        let plain = |value: &toml::Value| match value {
            toml::Value::String(text) => Some(text.clone()),
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => Some(value.to_string()),
            _ => None,
        };
        let text = match &value {
            toml::Value::Array(items) => {
                items.iter().map(plain).collect::<Option<Vec<_>>>().map(|items| items.join(","))
            }
            other => plain(other),
        };
        let text =
            text.ok_or_else(|| wrong(format!("{key}: expected a string, a number, true, false or a list of these")))?;
        values.insert(key, text);
    }
    Ok(values)
}

/// Of the variables of PostgreSQL's own library, those that say where or how to connect and that are not heeded here.
const UNHEEDED: &[&str] = &[
    "PGSERVICE",
    "PGHOSTADDR",
    "PGOPTIONS",
    "PGTARGETSESSIONATTRS",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLNEGOTIATION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGCHANNELBINDING",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
];

/// What to say of them where they are set.
fn unheeded_variables(names: &BTreeMap<String, String>, origin: &str) -> Vec<String> {
    let set = UNHEEDED.iter().filter(|name| names.get(**name).is_some_and(|value| !value.is_empty()));
    set.map(|name| {
        format!("{origin}: {name} is not heeded; say it by database_url, or by the settings of the database")
    })
    .collect()
}

/// Refuses `LSHOOKD_` variables that resemble a setting's; the others may be somebody else's, as those that Kubernetes
/// sets for a service by the name of lshookd: what to say of these.
fn unknown_variables(names: &BTreeMap<String, String>, origin: &str) -> Result<Vec<String>, SettingError> {
    const PREFIX: &str = "LSHOOKD_";
    let own: Vec<String> =
        SETTINGS.iter().flat_map(Setting::variables).filter(|name| name.starts_with(PREFIX)).collect();
    let mut warnings = Vec::new();
    for (name, value) in names.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        // LSHOOKD_TEST_ variables belong to the test suite.
        if own.contains(name) || name.starts_with("LSHOOKD_TEST_") {
            continue;
        }
        let rest = name.trim_start_matches(PREFIX);
        let is_kubernetes = rest.starts_with("PORT") || rest.starts_with("SERVICE_") || value.contains("://");
        let is_near = |known: &&String| strsim::jaro_winkler(known.trim_start_matches(PREFIX), rest) > 0.85;
        match own.iter().find(is_near).filter(|_| !is_kubernetes) {
            Some(_) => return Err(unknown(name, origin, own.iter().map(String::as_str))),
            None => warnings.push(format!("{origin}: {name} is no setting and is ignored")),
        }
    }
    Ok(warnings)
}

/// An unknown key, with the known one that it resembles.
fn unknown<'a>(key: &str, origin: &str, known: impl Iterator<Item = &'a str>) -> SettingError {
    let near = known
        .map(|name| (strsim::jaro_winkler(name, key), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    SettingError::Unknown {
        key: key.to_owned(),
        origin: origin.to_owned(),
        suggestion: near.map(|(_, name)| format!("; did you mean {name}?")).unwrap_or_default(),
    }
}
