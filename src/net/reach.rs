//! Which addresses we connect to: those of the Internet, and of all others only what an administrator has
//! listed. Pure.
//!
//! Whoever controls a name, a document or an answer can point at addresses that only we can reach: databases,
//! the metadata service of a cloud, ourselves. So every address is judged after its name was looked up, and
//! the address that was judged is the one that is connected to. What is special is what the registries of
//! IANA call so (RFC 6890, RFC 8190, read 2026-11), also where an IPv6 address carries it inside.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::glob::Glob;

/// Why an address is not one of the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// `0.0.0.0/8`, `::`: this machine, to some.
    Unspecified,
    /// This machine.
    Loopback,
    /// A private network.
    Private,
    /// `100.64.0.0/10`, behind the address translation of a carrier.
    Shared,
    /// This link only: the metadata services of clouds are here.
    LinkLocal,
    /// The platform of a cloud, at an address of its own.
    Platform,
    /// Many machines.
    Multicast,
    /// Kept for tests, documents, protocols or later.
    Reserved,
}

impl Special {
    const fn words(self) -> &'static str {
        match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "this machine",
            Self::Private => "a private address",
            Self::Shared => "a shared address of a carrier",
            Self::LinkLocal => "a link-local address, as metadata services have",
            Self::Platform => "an address of a cloud's platform",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        }
    }
}

/// A network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `address/bits`, or an address, which is a network of one.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (bits <= width).then_some(Self { address, bits })
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (one, two, width) = match (address, self.address) {
            (IpAddr::V4(one), IpAddr::V4(two)) => (u128::from(one.to_bits()), u128::from(two.to_bits()), 32),
            (IpAddr::V6(one), IpAddr::V6(two)) => (one.to_bits(), two.to_bits(), 128),
            _ => return false,
        };
        (one ^ two).checked_shr(width - u32::from(self.bits)).unwrap_or(0) == 0
    }
}

/// `10.0.0.0/8`
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// What may be reached beside the Internet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// Every address in these.
    pub networks: Vec<Network>,
    /// Every address behind these names, in lower case.
    pub names: Vec<Glob>,
}

/// What holds for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Whether an administrator wrote the host: then an address in its place is meant, and `localhost` too.
    pub written: bool,
    /// What all servers may have.
    pub allow: Arc<Allow>,
}

impl Reach {
    /// For a host that an administrator wrote, with nothing listed beside.
    pub fn written() -> Self {
        Self { written: true, allow: Arc::default() }
    }
}

/// An address that is not connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} is at {address}, {}: connections there are refused; if it is meant, add `network: {{ \
    allow_private: [\"{line}\"] }}` to the config", special.words())]
pub struct Refused {
    host: String,
    address: IpAddr,
    special: Special,
    /// What to list.
    line: String,
}

/// Decides whether `address`, which `host` was found to have, may be connected to.
///
/// # Errors
/// `Refused`, with what to write into the config.
pub fn verdict(host: &str, address: IpAddr, reach: &Reach) -> Result<(), Refused> {
    let Some(special) = special(address) else { return Ok(()) };
    let plain = address.to_canonical();
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let literal = name.parse::<IpAddr>().ok();
    if reach.written {
        let meant = literal.is_some_and(|literal| literal == address);
        let local = (name == "localhost" || name.ends_with(".localhost")) && special == Special::Loopback;
        if meant || local {
            return Ok(());
        }
    }
    let within = |network: &Network| network.contains(address) || network.contains(plain);
    // An address in the place of a name has no name.
    let named = literal.is_none() && reach.allow.names.iter().any(|known| known.matches(&name));
    if named || reach.allow.networks.iter().any(within) {
        return Ok(());
    }
    let line = if literal.is_some() { plain.to_string() } else { name };
    Err(Refused { host: host.to_owned(), address, special, line })
}

/// What is special about an address; `None` for one of the Internet.
pub fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => Special::Unspecified,
        (127, ..) => Special::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Special::Private,
        (100, 64..=127, _) => Special::Shared,
        (169, 254, _) => Special::LinkLocal,
        (168, 63, 129) if address == AZURE_PLATFORM => Special::Platform,
        (224..=239, ..) => Special::Multicast,
        // Protocols, documents, relays of 6to4, benchmarks, and what is kept for later.
        (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18..=19, _)
        | (198, 51, 100)
        | (203, 0, 113)
        | (240.., ..) => Special::Reserved,
        _ => return None,
    })
}

/// Outside of every special network, and still reachable only from inside of Azure.
const AZURE_PLATFORM: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

fn special_v6(address: Ipv6Addr) -> Option<Special> {
    // `::ffff:0:0/96`: the same machine under another spelling.
    if let Some(inner) = address.to_ipv4_mapped() {
        return special_v4(inner);
    }
    let words = address.segments();
    let inner = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    Some(match words {
        [0, 0, 0, 0, 0, 0, 0, 0] => Special::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Special::Loopback,
        // Compatible with IPv4, translated or relayed: what counts is where the inner address leads.
        [0, 0, 0, 0, 0, 0, high, low] => special_v4(inner(high, low)).unwrap_or(Special::Reserved),
        [0, 0, 0, 0, 0xffff, 0, high, low] => special_v4(inner(high, low)).unwrap_or(Special::Reserved),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return special_v4(inner(high, low)),
        [0x2002, high, low, ..] => return special_v4(inner(high, low)),
        // A translator of one's own network, and tunnels whose inner address is hidden.
        [0x64, 0xff9b, 1, ..] => Special::Private,
        [0x2001, 0..=0x1ff, ..] => Special::Reserved,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Special::Private,
        [0xfe80..=0xfebf, ..] => Special::LinkLocal,
        [0xff00..=0xffff, ..] => Special::Multicast,
        // ISATAP.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => return special_v4(inner(high, low)),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Special::Reserved,
        // Only this eighth of all addresses has been given out for the Internet.
        [0x2000..=0x3fff, ..] => return None,
        _ => Special::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{Allow, Network, Reach, Special, special, verdict};
    use crate::glob::Glob;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn what_is_special() {
        use Special::{LinkLocal, Loopback, Multicast, Platform, Private, Reserved, Shared, Unspecified};
        for (wanted, texts) in [
            (Unspecified, &["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "64:ff9b::"][..]),
            (Loopback, &["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"]),
            (Loopback, &["::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:7f00:1:abcd::9"]),
            (Private, &["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1"]),
            (Private, &["fc00::1", "fdff:ffff::1", "fec0::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]),
            (Private, &["2002:c0a8:101::1", "64:ff9b:1::1", "64:ff9b:1:ffff::808:808", "::10.0.0.1"]),
            (Private, &["2a00:1::5efe:10.0.0.1", "2a00:1::200:5efe:10.0.0.1"]),
            (Shared, &["100.64.0.0", "100.127.255.255", "100.100.100.200", "::ffff:100.64.0.1"]),
            (LinkLocal, &["169.254.169.254", "169.254.0.1", "fe80::1", "febf::1", "::ffff:169.254.169.254"]),
            (
                LinkLocal,
                &["64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::169.254.169.254", "::ffff:0:169.254.169.254"],
            ),
            (Platform, &["168.63.129.16", "::ffff:168.63.129.16"]),
            (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ffff::1"]),
            (Reserved, &["192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255"]),
            (Reserved, &["198.51.100.1", "203.0.113.1", "240.0.0.1", "255.255.255.255"]),
            (Reserved, &["2001:db8::1", "2001::1", "2001:0:1:2:3:4:5:6", "2001:2::1", "3fff::1"]),
            (Reserved, &["100::1", "5f00::1", "4000::1", "::8.8.8.8", "1::1"]),
        ] {
            for text in texts {
                assert_eq!(special(address(text)), Some(wanted), "{text}");
            }
        }
        for text in [
            "8.8.8.8",
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.1.1",
            "192.169.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "169.253.1.1",
            "169.255.1.1",
            "126.1.1.1",
            "128.0.0.1",
            "168.63.129.17",
            "198.17.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert_eq!(special(address(text)), None, "{text}");
        }
    }

    fn reach(written: bool, networks: &[&str], names: &[&str]) -> Reach {
        let networks = networks.iter().map(|text| Network::parse(text).unwrap()).collect();
        let names = names.iter().map(|text| Glob::new(text)).collect();
        Reach { written, allow: Arc::new(Allow { networks, names }) }
    }

    fn check(host: &str, at: &str, reach: &Reach, expected: bool) {
        assert_eq!(verdict(host, address(at), reach).is_ok(), expected, "{host} {at} {reach:?}");
    }

    #[test]
    fn what_is_written_is_meant_and_no_more() {
        let (written, found) = (reach(true, &[], &[]), reach(false, &[], &[]));
        for literal in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1"] {
            check(literal, literal, &written, true);
            check(literal, literal, &found, false);
        }
        for name in ["localhost", "LOCALHOST", "localhost.", "api.localhost"] {
            check(name, "127.0.0.1", &written, true);
            check(name, "::1", &written, true);
            // Whoever answers for the name cannot lead elsewhere.
            check(name, "10.0.0.1", &written, false);
            check(name, "127.0.0.1", &found, false);
        }
        for name in
            ["db.corp.example.com", "metadata.google.internal", "localhost.evil.com", "127.0.0.1.nip.io"]
        {
            check(name, "8.8.8.8", &written, true);
            check(name, "10.0.0.1", &written, false);
            check(name, "127.0.0.1", &written, false);
            check(name, "::ffff:169.254.169.254", &written, false);
        }
    }

    #[test]
    fn what_is_listed_may_be_reached() {
        let listed = reach(false, &["10.0.0.0/8", "fd00::/8", "169.254.169.254"], &["*.corp.example.com"]);
        check("db", "10.9.9.9", &listed, true);
        check("db", "::ffff:10.9.9.9", &listed, true);
        check("db", "fd00::1", &listed, true);
        check("db", "169.254.169.254", &listed, true);
        check("db", "169.254.169.253", &listed, false);
        check("db", "192.168.1.1", &listed, false);
        // An IPv4 network lists no detour to it.
        check("db", "64:ff9b::a00:1", &listed, false);
        check("db", "2002:a00:1::", &listed, false);
        check("git.corp.example.com", "192.168.1.1", &listed, true);
        check("GIT.corp.example.com.", "127.0.0.1", &listed, true);
        check("corp.example.com", "192.168.1.1", &listed, false);
        check("git.corp.example.com.evil.com", "192.168.1.1", &listed, false);
        // A pattern of names lists no address in the place of a name.
        check("127.0.0.1", "127.0.0.1", &reach(false, &[], &["*"]), false);
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let why = verdict("db.internal", address("::ffff:10.0.0.7"), &reach(true, &[], &[])).unwrap_err();
        let text = why.to_string();
        assert!(text.contains("db.internal is at ::ffff:10.0.0.7, a private address"), "{text}");
        assert!(
            text.ends_with("add `network: { allow_private: [\"db.internal\"] }` to the config"),
            "{text}"
        );
        let why = verdict("10.0.0.7", address("10.0.0.7"), &reach(false, &[], &[])).unwrap_err();
        assert!(why.to_string().contains("allow_private: [\"10.0.0.7\"]"), "{why}");
    }

    #[test]
    fn networks_are_read_strictly() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("fd00::/7", "fd00::/7"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(Network::parse(text).unwrap().to_string(), shown);
        }
        for wrong in
            ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0/8", "x/8", "::/129", "10.0.0.0/8/8"]
        {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
        let everything = Network::parse("0.0.0.0/0").unwrap();
        assert!(everything.contains(address("255.1.2.3")) && !everything.contains(address("::1")));
    }

    proptest! {
        #[test]
        fn a_spelling_makes_no_difference(bits in any::<u32>()) {
            let plain = std::net::Ipv4Addr::from_bits(bits);
            let wanted = special(plain.into());
            prop_assert_eq!(special(plain.to_ipv6_mapped().into()), wanted);
            let [a, b, c, d] = plain.octets();
            let text = format!("64:ff9b::{a:02x}{b:02x}:{c:02x}{d:02x}");
            prop_assert_eq!(special(text.parse().unwrap()), wanted);
            let text = format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1");
            prop_assert_eq!(special(text.parse().unwrap()), wanted);
            // What the standard library knows to be special is.
            let known = plain.is_private() || plain.is_loopback() || plain.is_link_local()
                || plain.is_multicast() || plain.is_broadcast() || plain.is_documentation();
            prop_assert!(!known || wanted.is_some());
        }
    }
}
