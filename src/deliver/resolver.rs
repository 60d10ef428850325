//! Where to connect to: names resolved through the egress policy, the address that was reached last coming first.
//!
//! Where the first addresses of a name are silent, that costs their time once and not with each connection.

use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

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

    /// Where to connect to for a host: the address that it is, or those of the name. The one that was reached last
    /// comes first, and after the first the families take turns (RFC 8305, 4).
    ///
    /// # Errors
    /// The [`Refusal`](super::egress::Refusal), or that the name does not resolve.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            self.policy.check(address)?;
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let mut addresses = self.in_order(host, self.policy.resolve(host).await?);
        addresses.iter_mut().for_each(|address| address.set_port(port));
        Ok(addresses)
    }

    /// Whether the operator allows the name whatever it resolves to.
    pub fn allows_name(&self, name: &str) -> bool {
        self.policy.allows_name(name)
    }

    fn in_order(&self, name: &str, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let last = self.reached.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        addresses.sort_by_key(|address| Some(address.ip()) != last);
        let is_first_family =
            |address: &SocketAddr| addresses.first().map(SocketAddr::is_ipv6) == Some(address.is_ipv6());
        let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
            addresses.iter().partition(|each| is_first_family(each));
        let turns = first.into_iter().enumerate().chain(second.into_iter().enumerate());
        let mut turns: Vec<(usize, SocketAddr)> = turns.collect();
        // Stable: of two with the same number that of the first family stays before the other.
        turns.sort_by_key(|(turn, _)| *turn);
        turns.into_iter().map(|(_, address)| address).collect()
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
        let mixed: Vec<SocketAddr> =
            ["[2001:db8::1]:0", "[2001:db8::2]:0", "192.0.2.1:0"].map(|address| address.parse().unwrap()).into();
        assert_eq!(resolver.in_order("mixed", mixed.clone()), [mixed[0], mixed[2], mixed[1]]);
        for number in 0..2 * MAXIMUM_NAMES {
            resolver.reached(&number.to_string(), addresses[0].ip());
        }
        assert!(resolver.reached.lock().unwrap().len() <= MAXIMUM_NAMES);
    }
}
