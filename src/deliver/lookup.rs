//! Looking up the addresses of names, as the system does it, and with it Label Studio.
//!
//! The system tells nothing until it gives up, which may be half a minute where a server of names is silent, and takes a
//! thread for so long. Promises: a name is looked up once at a time, however many wait for it; of names that took long
//! before few are looked up at a time; so that those that answer find a thread.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

/// A lookup that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// So many names that were slow are looked up at a time; tokio has 512 threads for all.
const SLOW_AT_ONCE: usize = 64;

/// Maximum names that are remembered as slow.
const MAXIMUM_SLOW: usize = 10_000;

type Outcome = Result<Arc<[SocketAddr]>, Arc<io::Error>>;

/// A lookup that is under way.
type Flight = Shared<BoxFuture<'static, Outcome>>;

/// Looks up names.
#[derive(Debug)]
pub struct Lookups {
    under_way: Mutex<HashMap<String, Flight>>,
    slow: Mutex<HashSet<String>>,
    turns_of_slow: Semaphore,
}

impl Default for Lookups {
    fn default() -> Lookups {
        Lookups { under_way: Mutex::default(), slow: Mutex::default(), turns_of_slow: Semaphore::new(SLOW_AT_ONCE) }
    }
}

impl Lookups {
    /// The addresses of a name, each with port 0.
    ///
    /// # Errors
    /// That the name does not resolve.
    pub async fn addresses(self: &Arc<Self>, name: &str) -> Outcome {
        let flight = {
            let mut under_way = lock(&self.under_way);
            let begin = || Lookups::begin(Arc::clone(self), name.to_owned());
            under_way.entry(name.to_owned()).or_insert_with(begin).clone()
        };
        flight.await
    }

    /// Begins one in a task of its own: its thread is busy even where nobody waits for it any more.
    fn begin(self: Arc<Self>, name: String) -> Flight {
        let task = tokio::spawn(async move {
            let outcome = self.look_up(&name).await;
            lock(&self.under_way).remove(&name);
            outcome
        });
        async { task.await.unwrap_or_else(|error| Err(Arc::new(io::Error::other(error)))) }.boxed().shared()
    }

    async fn look_up(&self, name: &str) -> Outcome {
        let was_slow = lock(&self.slow).contains(name);
        let turn = if was_slow { self.turns_of_slow.acquire().await.ok() } else { None };
        let began = Instant::now();
        let outcome = tokio::net::lookup_host((name, 0)).await;
        drop(turn);
        let mut slow = lock(&self.slow);
        if began.elapsed() <= SLOW {
            slow.remove(name);
        } else {
            if slow.len() >= MAXIMUM_SLOW {
                slow.clear();
            }
            slow.insert(name.to_owned());
        }
        outcome.map(Iterator::collect).map_err(Arc::new)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_once_at_a_time_and_again_afterwards() {
        let lookups = Arc::new(Lookups::default());
        let all = futures_util::future::join_all((0..100).map(|_| lookups.addresses("localhost")));
        let all = all.await;
        let first = all[0].as_ref().unwrap();
        assert!(first.iter().all(|address| address.ip().is_loopback()) && !first.is_empty());
        assert!(all.iter().all(|each| Arc::ptr_eq(each.as_ref().unwrap(), first)));
        assert!(lock(&lookups.under_way).is_empty());
        assert!(!Arc::ptr_eq(&lookups.addresses("localhost").await.unwrap(), first));
        assert!(lookups.addresses("nowhere.invalid").await.is_err());
        assert!(lock(&lookups.under_way).is_empty());
    }
}
