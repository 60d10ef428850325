//! Names for the HTTP client: resolved through the egress policy, the address that was reached last coming first.
//!
//! A client tries the addresses of a name one after the other. Where the first ones are silent, that costs their share
//! of the connect timeout once and not with each connection.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::egress::EgressPolicy;

/// Maximum names that are remembered.
const MAXIMUM_NAMES: usize = 10_000;

/// Resolves names, and remembers which of their addresses were reached.
#[derive(Debug)]
pub struct Resolver {
    policy: Arc<EgressPolicy>,
    reached: Mutex<HashMap<String, IpAddr>>,
}

impl Resolver {
    /// A resolver by a policy.
    pub fn new(policy: Arc<EgressPolicy>) -> Resolver {
        Resolver { policy, reached: Mutex::default() }
    }

    /// An endpoint answered from this address.
    pub fn reached(&self, host: &str, address: IpAddr) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if reached.len() >= MAXIMUM_NAMES && !reached.contains_key(host) {
            reached.clear();
        }
        reached.insert(host.to_owned(), address);
    }

    /// The addresses of a name, the one that was reached last coming first.
    fn in_order(&self, name: &str, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let last = self.reached.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        addresses.sort_by_key(|address| Some(address.ip()) != last);
        addresses
    }
}

/// The resolver as the HTTP client takes it.
pub struct SharedResolver(pub Arc<Resolver>);

impl Resolve for SharedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = resolver.policy.resolve(name.as_str()).await?;
            let addresses: Addrs = Box::new(resolver.in_order(name.as_str(), addresses).into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Egress;

    #[test]
    fn what_was_reached_last_comes_first_and_the_others_stay_in_their_order() {
        let resolver = Resolver::new(Arc::new(EgressPolicy::new(&Egress::default())));
        let addresses: Vec<SocketAddr> =
            ["192.0.2.1:0", "192.0.2.2:0", "192.0.2.3:0"].map(|address| address.parse().unwrap()).into();
        assert_eq!(resolver.in_order("host", addresses.clone()), addresses);
        resolver.reached("host", addresses[2].ip());
        assert_eq!(resolver.in_order("host", addresses.clone()), [addresses[2], addresses[0], addresses[1]]);
        assert_eq!(resolver.in_order("other", addresses.clone()), addresses);
        for number in 0..2 * MAXIMUM_NAMES {
            resolver.reached(&number.to_string(), addresses[0].ip());
        }
        assert!(resolver.reached.lock().unwrap().len() <= MAXIMUM_NAMES);
    }
}
