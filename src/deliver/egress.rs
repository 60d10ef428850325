//! Egress: which addresses a webhook may reach.
//!
//! Webhook rows are written by any user of Label Studio, and the daemon stands beside the
//! database, so addresses are refused as Label Studio refuses them (`validate_ip` in its
//! `core/utils/io.py`), by the same settings. The decision is made about the address that is
//! really connected to: for a name inside the resolver of the HTTP client, for a literal
//! address before the request. Names are resolved anew for every connection; connections that are opened while a name is
//! being resolved share the answer.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use url::{Host, Url};

use super::lookup::Lookups;
use crate::config::Egress;

/// Label Studio's list (`default_banned_subnets`).
const DEFAULT_BANNED: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "233.252.0.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// What is refused whatever is set: link-local networks, and the addresses at which clouds tell a machine its
/// credentials. Each with what it is and who says so.
const ALWAYS_BANNED: &[(&str, &str)] = &[
    ("169.254.0.0/16", "link-local, RFC 3927; metadata of AWS, Google Cloud, Azure and most others"),
    ("fe80::/10", "link-local, RFC 4291"),
    ("fec0::/10", "site-local, RFC 3879"),
    ("fd00:ec2::254/128", "metadata of AWS, its documentation of the instance metadata service"),
    ("fd20:ce::254/128", "metadata of Google Cloud, its documentation of IPv6 access"),
    ("100.100.100.200/32", "metadata of Alibaba Cloud, its documentation of instance metadata"),
    ("168.63.129.16/32", "platform services of Azure, its documentation of this address"),
    ("192.0.0.192/32", "metadata of Oracle Cloud, its documentation of the classic service"),
];

/// An address that may not be reached, by which rule, and what would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused to connect to {address}: {network} is forbidden ({rule}); setting allow (LSHOOKD_ALLOW) can permit it"
)]
pub struct Refusal {
    address: IpAddr,
    network: IpNet,
    rule: &'static str,
}

/// Whether the endpoint of a webhook may be reached, as things are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be.
    Allowed,
    /// It may not be.
    Refused(Refusal),
    /// That cannot be told: the reason.
    Unknown(String),
}

/// Decides about addresses.
#[derive(Debug)]
pub struct EgressPolicy {
    banned: Vec<(IpNet, &'static str)>,
    allowed_networks: Vec<IpNet>,
    allowed_hosts: Vec<String>,
    lookups: Arc<Lookups>,
}

impl EgressPolicy {
    /// A policy by the operator's settings.
    pub fn new(egress: &Egress) -> EgressPolicy {
        let constant = |list: &[&str], rule| -> Vec<(IpNet, &'static str)> {
            list.iter().filter_map(|text| text.parse().ok()).map(|network| (network, rule)).collect()
        };
        let mut banned: Vec<(IpNet, &'static str)> =
            ALWAYS_BANNED.iter().filter_map(|(network, what)| Some((network.parse().ok()?, *what))).collect();
        if egress.protection {
            if egress.default_banned {
                banned.extend(constant(DEFAULT_BANNED, "ssrf_protection_enabled, use_default_banned_subnets"));
            }
            banned.extend(egress.additional_banned.iter().map(|network| (*network, "user_additional_banned_subnets")));
        }
        EgressPolicy {
            banned,
            allowed_networks: egress.allowed_networks.clone(),
            allowed_hosts: egress.allowed_hosts.clone(),
            lookups: Arc::default(),
        }
    }

    /// Checks one address.
    ///
    /// # Errors
    /// The refusal.
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let forms = [Some(address), Some(address.to_canonical()), embedded(address)];
        let forms: Vec<IpAddr> = forms.into_iter().flatten().collect();
        if self.allowed_networks.iter().any(|network| forms.iter().any(|form| network.contains(form))) {
            return Ok(());
        }
        match self.banned.iter().find(|(network, _)| forms.iter().any(|form| network.contains(form))) {
            Some((network, rule)) => Err(Refusal { address, network: *network, rule }),
            None => Ok(()),
        }
    }

    /// Checks a URL that names an address outright; names are checked when they are resolved.
    ///
    /// # Errors
    /// The refusal.
    pub fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Whether the endpoint of a webhook may be reached. Asks for the addresses of its name, unless the operator allows
    /// that, for then only a proxy may know it.
    pub async fn judge(&self, url: &str) -> Verdict {
        let url = match Url::parse(url) {
            Ok(url) => url,
            Err(error) => return Verdict::Unknown(format!("its URL cannot be read: {error}")),
        };
        if !matches!(url.scheme(), "http" | "https" | "nats") {
            let scheme = url.scheme();
            return Verdict::Unknown(format!(
                "its URL has the scheme {scheme:?}; only http, https and nats are served"
            ));
        }
        let Some(Host::Domain(name)) = url.host() else {
            return self.check_url(&url).map_or_else(Verdict::Refused, |()| Verdict::Allowed);
        };
        if self.allows_name(name) {
            return Verdict::Allowed;
        }
        match self.resolve(name).await {
            Ok(_) => Verdict::Allowed,
            Err(error) => match error.downcast() {
                Ok(refusal) => Verdict::Refused(*refusal),
                Err(error) => Verdict::Unknown(format!("its name {name} does not resolve: {error}")),
            },
        }
    }

    /// The addresses of a name; refuses it if any of them is refused, as Label Studio does.
    ///
    /// # Errors
    /// The refusal, or that the name does not resolve.
    pub async fn resolve(&self, name: &str) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        let addresses = self.lookups.addresses(name).await?;
        if !self.allows_name(name) {
            for address in addresses.iter() {
                self.check(address.ip())?;
            }
        }
        Ok(addresses.to_vec())
    }

    /// What to connect to for a host, a name or an address: the addresses that were looked at; a name that the
    /// operator allows stays a name, which a certificate may ask for.
    ///
    /// # Errors
    /// The refusal, or that the name does not resolve.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
        let addresses = self.resolve(host).await?;
        if self.allows_name(host) {
            return Ok(vec![format!("{host}:{port}")]);
        }
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address.ip(), port).to_string()).collect())
    }

    /// Whether the operator allows a name whatever it resolves to.
    pub fn allows_name(&self, name: &str) -> bool {
        self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name.trim_end_matches('.')))
    }
}

/// The IPv4 address that an IPv6 address leads to by some translation: NAT64 (RFC 6052), SIIT (RFC 7915), 6to4
/// (RFC 3056), or the compatible form that RFC 4291 deprecates.
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let octets = address.octets();
    let at = |place: usize| -> Option<IpAddr> {
        let four: [u8; 4] = octets.get(place..place + 4)?.try_into().ok()?;
        Some(IpAddr::from(four))
    };
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0, 0, 0, 0, 0, 0, ..] => at(12),
        [0x2002, ..] => at(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(egress: Egress) -> EgressPolicy {
        EgressPolicy::new(&egress)
    }

    fn guarded() -> Egress {
        Egress { protection: true, default_banned: true, ..Egress::default() }
    }

    fn refuses(policy: &EgressPolicy, address: &str) -> bool {
        policy.check(address.parse().unwrap()).is_err()
    }

    #[test]
    fn every_network_of_the_lists_parses() {
        for text in DEFAULT_BANNED.iter().chain(ALWAYS_BANNED.iter().map(|(network, _)| network)) {
            assert!(text.parse::<IpNet>().is_ok(), "{text}");
        }
    }

    #[test]
    fn private_and_reserved_addresses_are_refused_by_default() {
        let policy = policy(guarded());
        for address in
            ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1", "fd00::1"]
        {
            assert!(refuses(&policy, address), "{address}");
        }
        for address in ["8.8.8.8", "2606:4700::1111"] {
            assert!(!refuses(&policy, address), "{address}");
        }
    }

    #[test]
    fn without_protection_only_link_local_and_metadata_are_refused() {
        let policy = policy(Egress::default());
        assert!(!refuses(&policy, "127.0.0.1"));
        assert!(refuses(&policy, "169.254.169.254"));
        for address in [
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::ffff:0:a9fe:a9fe",
            "::169.254.169.254",
            "168.63.129.16",
            "64:ff9b::168.63.129.16",
            "fec0::1",
            "fd20:ce::254",
            "192.0.0.192",
        ] {
            assert!(refuses(&policy, address), "{address}");
        }
    }

    #[test]
    fn networks_that_stand_for_others_are_refused_by_default() {
        let policy = policy(guarded());
        for address in ["::8.8.8.8", "64:ff9b::8.8.8.8", "2002:0808:0808::1"] {
            assert!(refuses(&policy, address), "{address}");
        }
    }

    #[test]
    fn the_operators_lists_add_and_permit() {
        let policy = policy(Egress {
            additional_banned: vec!["8.8.8.0/24".parse().unwrap()],
            allowed_networks: vec!["10.1.0.0/16".parse().unwrap(), "169.254.169.254/32".parse().unwrap()],
            ..guarded()
        });
        assert!(refuses(&policy, "8.8.8.8"));
        assert!(refuses(&policy, "10.2.0.1"));
        assert!(!refuses(&policy, "10.1.0.1"));
        assert!(!refuses(&policy, "169.254.169.254"));
    }

    #[test]
    fn a_refusal_says_what_would_allow_it() {
        let refusal = policy(guarded()).check("127.0.0.1".parse().unwrap()).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "refused to connect to 127.0.0.1: 127.0.0.0/8 is forbidden (ssrf_protection_enabled, \
             use_default_banned_subnets); setting allow (LSHOOKD_ALLOW) can permit it"
        );
    }

    #[tokio::test]
    async fn an_endpoint_is_judged_by_name_and_by_address() {
        let policy = policy(guarded());
        assert!(matches!(policy.judge("http://127.0.0.1:8080/hook").await, Verdict::Refused(_)));
        assert!(matches!(policy.judge("http://localhost/hook").await, Verdict::Refused(_)));
        assert_eq!(policy.judge("http://8.8.8.8/hook").await, Verdict::Allowed);
        assert!(matches!(policy.judge("no URL").await, Verdict::Unknown(reason) if reason.contains("cannot be read")));
        let allowed = EgressPolicy::new(&Egress { allowed_hosts: vec!["localhost".to_owned()], ..guarded() });
        assert_eq!(allowed.judge("http://localhost/hook").await, Verdict::Allowed);
    }

    #[test]
    fn literal_addresses_in_urls_are_checked_in_every_spelling() {
        let policy = policy(guarded());
        for url in
            ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::1]:80/", "http://[::ffff:7f00:1]/"]
        {
            assert!(policy.check_url(&url.parse().unwrap()).is_err(), "{url}");
        }
        assert!(policy.check_url(&"http://example.com/".parse().unwrap()).is_ok());
    }
}
