//! Where settings come from: the command line, the environment, the configuration file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::{SETTINGS, Setting, SettingError};

const DEFAULT_FILE: &str = "/etc/lshookd/lshookd.toml";

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
            let variable = setting.variables().pop().unwrap_or_default();
            Arg::new(setting.key)
                .long(setting.key.replace('_', "-"))
                .value_name("VALUE")
                .global(true)
                .hide_short_help(true)
                .help(format!("{}{default} [env: {variable}]", setting.help))
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
}

impl Sources {
    /// Reads the environment, and the file: `path`, or the default one where it exists.
    ///
    /// # Errors
    /// When the file cannot be read, or a key in it or an `LSHOOKD_` variable is no setting.
    pub fn read(flags: &Flags, path: Option<&Path>) -> Result<Sources, SettingError> {
        let file = match path {
            Some(path) => Some((path, std::fs::read_to_string(path))),
            None => {
                let path = Path::new(DEFAULT_FILE);
                path.exists().then(|| (path, std::fs::read_to_string(path)))
            }
        };
        let (name, text) = match file {
            Some((path, text)) => {
                let name = path.display().to_string();
                let text =
                    text.map_err(|error| SettingError::File { path: name.clone(), reason: error.to_string() })?;
                (name, text)
            }
            None => (DEFAULT_FILE.to_owned(), String::new()),
        };
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Sources::merge(flags, &environment, &name, &text)
    }

    fn merge(
        flags: &Flags,
        environment: &BTreeMap<String, String>,
        file_name: &str,
        file: &str,
    ) -> Result<Sources, SettingError> {
        let file_table = parse_file(file_name, file)?;
        let own: Vec<String> =
            SETTINGS.iter().flat_map(Setting::variables).filter(|name| name.starts_with("LSHOOKD_")).collect();
        for name in environment.keys().filter(|name| name.starts_with("LSHOOKD_")) {
            // LSHOOKD_TEST_ variables belong to the test suite.
            if !own.contains(name) && !name.starts_with("LSHOOKD_TEST_") {
                return Err(unknown(name, "environment", own.iter().map(String::as_str)));
            }
        }
        let mut values = HashMap::new();
        for setting in SETTINGS {
            let from_flag = || {
                let text = flags.0.get(setting.key)?.clone();
                Some((text, Some(format!("flag --{}", setting.key.replace('_', "-")))))
            };
            let from_environment = || {
                setting.variables().into_iter().find_map(|name| {
                    let text = environment.get(&name)?.clone();
                    Some((text, Some(format!("environment {name}"))))
                })
            };
            let from_file = || Some((file_table.get(setting.key)?.clone(), Some(file_name.to_owned())));
            let from_default = || Some((setting.default?.to_owned(), None));
            let value = from_flag().or_else(from_environment).or_else(from_file).or_else(from_default);
            if let Some(value) = value {
                values.insert(setting.key, value);
            }
        }
        Ok(Sources { values })
    }

    /// Every setting that has a value, as people may see it, and where it came from.
    pub fn listed(&self) -> impl Iterator<Item = (&'static str, &str, &str)> {
        SETTINGS.iter().filter_map(|setting| {
            let (value, origin) = self.values.get(setting.key)?;
            let value = if setting.is_secret() { "(hidden)" } else { value.as_str() };
            Some((setting.key, value, origin.as_deref().unwrap_or("default")))
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

    #[cfg(test)]
    pub fn for_test(
        flags: &[(&'static str, &str)],
        environment: &[(&str, &str)],
        file: &str,
    ) -> Result<Sources, SettingError> {
        let flags = Flags(flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect());
        let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Sources::merge(&flags, &environment, "lshookd.toml", file)
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
