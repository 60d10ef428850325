//! How the values of settings are written.

use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

pub fn read_password(path: &str) -> Result<String, String> {
    std::fs::read_to_string(Path::new(path))
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|error| format!("cannot read {path}: {error}"))
}

/// A boolean as Label Studio reads it (`cast_bool_from_str`, else a number).
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "not" | "off" | "0" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

pub fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number of seconds above 0, such as 1.0".to_owned();
    let seconds = text.trim().parse::<f64>().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero()).ok_or_else(wrong)
}

pub fn duration(text: &str) -> Result<Duration, String> {
    match text.trim() {
        "0" => Ok(Duration::ZERO),
        text => humantime::parse_duration(text)
            .map_err(|error| format!("{error}; expected a duration such as 50ms, 5s or 10m")),
    }
}

/// How long a webhook may only fail: as long as Svix lets it where it is not said.
pub fn pause_after(text: &str) -> Result<Option<Duration>, String> {
    const USUAL: Duration = Duration::from_secs(5 * 24 * 3600);
    match text.trim().to_lowercase().as_str() {
        "off" => Ok(None),
        "on" => Ok(Some(USUAL)),
        text => above_zero(text).map(Some).map_err(|error| format!("{error}; or on, which is 5d, or off")),
    }
}

pub fn above_zero(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|duration| match duration {
        Duration::ZERO => Err("must be more than 0".to_owned()),
        duration => Ok(duration),
    })
}

pub fn positive(text: &str) -> Result<usize, String> {
    text.trim().parse().ok().filter(|number| *number > 0).ok_or_else(|| "expected a whole number above 0".to_owned())
}

pub fn list<T>(text: &str, item: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(item).collect()
}

pub fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{text:?} is not a network such as 10.0.0.0/8"))
}

pub fn allow_list(text: &str) -> Result<(Vec<IpNet>, Vec<String>), String> {
    let mut networks = Vec::new();
    let mut hosts = Vec::new();
    for entry in list(text, |entry| Ok(entry.to_owned()))? {
        match network(&entry) {
            Ok(network) => networks.push(network),
            Err(reason) if entry.contains(['/', ':', ' ']) => return Err(reason),
            Err(_) => hosts.push(entry.to_lowercase()),
        }
    }
    Ok((networks, hosts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allow_list_takes_networks_and_names() {
        let (networks, hosts) = allow_list("10.1.0.0/16, Trainer.internal,::1").unwrap();
        assert_eq!(networks.len(), 2);
        assert_eq!(hosts, ["trainer.internal"]);
        assert!(allow_list("10.1.0.0/99").is_err());
    }
}
