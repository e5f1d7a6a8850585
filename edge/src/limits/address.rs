//! Where a request comes from, for limits by address.
//!
//! A platform tells who is at the other end of the connection; nothing that a client itself says is
//! believed. Behind a proxy that is the proxy, and `X-Forwarded-For` says whom it serves, but
//! only where `CODECRAFTER_TRUSTED_PROXIES` names the proxy: otherwise each client could
//! have as many addresses as it can write down.

use std::net::{IpAddr, Ipv6Addr};

/// Who is at the other end of the connection, as the platform knows it: an extension of each
/// request. None where it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub Option<IpAddr>);

/// A block of addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// What is neither an address nor a block of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoNetwork;

impl std::str::FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| NoNetwork)?,
            None => longest,
        };
        if prefix > longest {
            return Err(NoNetwork);
        }
        Ok(Self { address, prefix })
    }
}

impl Network {
    /// Whether `address` lies in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = mask(u128::MAX << 96, self.prefix) >> 96;
                u128::from(own.to_bits()) & mask == u128::from(other.to_bits()) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = mask(u128::MAX, self.prefix);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// The first `prefix` bits of `all`.
fn mask(all: u128, prefix: u8) -> u128 {
    let rest = 128_u32.saturating_sub(prefix.into());
    all & u128::MAX.checked_shl(rest).unwrap_or(0)
}

/// Whose request it is: the peer, or whom the trusted proxies before it serve. `forwarded` are the
/// values of `X-Forwarded-For` in their order; what proxies have written stands at the end.
pub fn client<'a>(
    peer: Option<IpAddr>,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Network],
) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer?.to_canonical();
    let mut hops = forwarded.flat_map(|value| value.split(',')).rev();
    while is_trusted(client) {
        // What is no address was written by nobody whom we trust: its writer is the client.
        let Some(before) = hops.next().and_then(parse) else {
            break;
        };
        client = before;
    }
    Some(client)
}

/// An address, with a port or without.
#[must_use]
pub fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse().map(|socket: std::net::SocketAddr| socket.ip()));
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = address.ok().or_else(|| bare?.parse().ok());
    address.map(|address: IpAddr| address.to_canonical())
}

/// What counts as one address: of IPv6 a network of 64 bits, because that is what one subscriber
/// has at least.
#[must_use]
pub fn group(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", first_bits(address, 64)),
    }
}

/// An address as a log may show it: not whose it is, but whose network.
#[must_use]
pub fn masked(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => format!("{}/48", first_bits(address, 48)),
    }
}

fn first_bits(address: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & mask(u128::MAX, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        let client = client(peer.parse().ok(), forwarded.iter().copied(), &trusted);
        client.unwrap().to_string()
    }

    #[test]
    fn what_a_client_says_of_itself_is_not_believed() {
        assert_eq!(of("203.0.113.7", &["198.51.100.1"], &[]), "203.0.113.7");
        let elsewhere = &["10.0.0.0/8"];
        assert_eq!(
            of("203.0.113.7", &["198.51.100.1"], elsewhere),
            "203.0.113.7"
        );
        assert_eq!(client(None, ["198.51.100.1"].into_iter(), &[]), None);
    }

    #[test]
    fn a_trusted_proxy_says_whom_it_serves_and_what_was_there_before_is_not_believed() {
        let trusted = &["10.0.0.0/8", "::1"];
        let lies = &["1.1.1.1, 198.51.100.1"];
        assert_eq!(of("10.0.0.1", lies, trusted), "198.51.100.1");
        let two = &["1.1.1.1", "198.51.100.1, 10.2.3.4"];
        assert_eq!(of("::1", two, trusted), "198.51.100.1");
        assert_eq!(of("::ffff:10.0.0.1", lies, trusted), "198.51.100.1");
    }

    #[test]
    fn a_proxy_that_says_nothing_sensible_is_the_client() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(of("10.0.0.1", &[], trusted), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["unknown"], trusted), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["8.8.8.8, unknown"], trusted), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["10.0.0.9"], trusted), "10.0.0.9");
    }

    #[test]
    fn addresses_are_read_with_ports_and_brackets() {
        let read = |text| parse(text).map(|address| address.to_string());
        assert_eq!(read(" 192.0.2.1:80 ").as_deref(), Some("192.0.2.1"));
        assert_eq!(read("[2001:db8::1]:80").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("[2001:db8::1]").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(read("somewhere"), None);
    }

    #[test]
    fn a_subscriber_of_ipv6_has_one_address_here() {
        let group = |text: &str| group(text.parse().unwrap());
        assert_eq!(group("2001:db8:1:2:3:4:5:6"), group("2001:db8:1:2::1"));
        assert_ne!(group("2001:db8:1:2::1"), group("2001:db8:1:3::1"));
        assert_eq!(group("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
    }

    #[test]
    fn blocks_are_read_and_others_named() {
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/x", "proxy"] {
            assert_eq!(wrong.parse::<Network>(), Err(NoNetwork), "{wrong}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("192.0.2.1".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
        let six: Network = "2001:db8::/32".parse().unwrap();
        assert!(six.contains("2001:db8:ffff::1".parse().unwrap()));
        assert!(!six.contains("2001:db9::1".parse().unwrap()));
    }

    #[test]
    fn a_log_shows_networks_only() {
        assert_eq!(masked("192.0.2.77".parse().unwrap()), "192.0.2.0/24");
        let six = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        assert_eq!(masked(six), "2001:db8:1::/48");
    }
}
