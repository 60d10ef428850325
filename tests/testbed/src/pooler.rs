//! PgBouncer between Label Studio and PostgreSQL.

use std::path::Path;

use anyhow::Result;

use crate::child_guard::ChildGuard;
use crate::postgres::{Database, as_postgres};
use crate::{free_port, listens};

/// A pooler with few server connections, which its clients must share.
pub struct Pooler {
    port: u16,
    _guard: ChildGuard,
}

impl Pooler {
    /// Starts one; `mode` is PgBouncer's `pool_mode`.
    pub async fn start(database: &Database, mode: &str, connections: usize) -> Result<Pooler> {
        let folder = tempfile::Builder::new().prefix("lshookd-pooler-").tempdir()?.keep();
        let port = free_port()?;
        let environment = database.environment();
        let of = |name: &str| -> &str {
            environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let users = folder.join("users");
        std::fs::write(&users, format!("\"{}\" \"{}\"\n", of("POSTGRE_USER"), of("POSTGRE_PASSWORD")))?;
        let configuration = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = trust\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = {connections}\n\
             max_client_conn = 500\nunix_socket_dir =\nignore_startup_parameters = extra_float_digits,options\n",
            of("POSTGRE_HOST"),
            of("POSTGRE_PORT"),
            users.display(),
        );
        std::fs::write(&configuration, text)?;
        let mut command = as_postgres(&folder)?;
        command.extend(["/usr/sbin/pgbouncer".to_owned(), configuration.display().to_string()]);
        let clean_up = format!("rm -rf '{}'", folder.display());
        let guard = ChildGuard::start(&command, &[], Path::new("/dev/null"), &clean_up).await?;
        listens("PgBouncer", port).await?;
        Ok(Pooler { port, _guard: guard })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The variables by which Label Studio finds it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let pairs = [("POSTGRE_HOST", "127.0.0.1".to_owned()), ("POSTGRE_PORT", self.port.to_string())];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
