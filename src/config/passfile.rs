//! Passwords from a file of libpq's (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).

use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The password for a connection, from the file that is named, or from `~/.pgpass` where it is there.
///
/// # Errors
/// When the file that is named cannot be read.
pub fn find(path: Option<&str>, config: &Config) -> Result<Option<String>, String> {
    let default = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    let Some(file) = path.map(PathBuf::from).or_else(default) else {
        return Ok(None);
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(password(&text, config)),
        Err(_) if path.is_none() => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", file.display())),
    }
}

/// The password of the first line that fits.
fn password(text: &str, config: &Config) -> Option<String> {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        // A socket in the usual folder is called so.
        Some(Host::Unix(_)) | None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user().unwrap_or_default();
    let wanted = [host.as_str(), &port, config.get_dbname().unwrap_or(user), user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let fits = wanted.iter().zip(&fields).all(|(wanted, field)| field == "*" || field == wanted);
        (fields.len() == 5 && fits).then(|| fields[4].clone())
    })
}

/// The parts of a line between colons; a backslash takes the next character as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut characters = line.chars();
    while let Some(each) = characters.next() {
        match each {
            '\\' => field.extend(characters.next()),
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let config: Config = "postgres://me@db.example:5433/ls".parse().unwrap();
        let text =
            "# db.example:5433:ls:me:no\nother:*:*:*:no\ndb.example:5432:ls:me:no\n*:5433:ls:me:a\\:b\\\\c\n*:*:*:*:no";
        assert_eq!(password(text, &config).as_deref(), Some(r"a:b\c"));
        assert_eq!(password("db.example:5433:other:me:no", &config), None);
        assert_eq!(password("db.example:5433", &config), None);
    }
}
