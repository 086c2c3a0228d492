//! The proxy on the way to a provider: `proxy:` of the config, or `HTTPS_PROXY` and `NO_PROXY` as curl
//! has them.

use std::net::IpAddr;

use crate::base64;
use crate::config::base_url::{self, UrlFault};
use crate::config::environment::Environment;
use crate::secret::Secret;
use crate::upstream::site::{Origin, Proxy};

/// The proxy variables of the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyVariables {
    url: Option<Secret>,
    except: String,
}

impl ProxyVariables {
    /// Reads them; of the two spellings the lower case counts first, as in curl.
    pub(crate) fn read(environment: &Environment) -> Self {
        let either =
            |lower: &str, upper: &str| environment.read_set(lower).or_else(|| environment.read_set(upper));
        Self {
            url: either("https_proxy", "HTTPS_PROXY").map(Secret::new),
            except: either("no_proxy", "NO_PROXY").unwrap_or_default(),
        }
    }

    /// The proxy for `origin`: only for https, never for this machine, never for what `NO_PROXY` names.
    pub(crate) fn for_origin(&self, origin: &Origin) -> Result<Option<Proxy>, UrlFault> {
        let Some(url) = &self.url else { return Ok(None) };
        if !origin.https || is_loopback(&origin.host) || is_excepted(&self.except, &origin.host, origin.port)
        {
            return Ok(None);
        }
        parse(url.expose()).map(Some)
    }
}

/// Reads `http://[user:password@]host[:port]`; without a scheme it is http, without a port it is 80.
pub(crate) fn parse(url: &str) -> Result<Proxy, UrlFault> {
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some(_) => return Err(UrlFault::Scheme),
        None => url,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, authority) = match rest.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, rest),
    };
    let (host, port) = base_url::host_and_port(authority)?;
    let authorization = match user {
        None => None,
        Some(user) => {
            let plain = unescaped(user).ok_or(UrlFault::UserInfo)?;
            // RFC 7617 section 2 wants user and password with a colon between, also where one is empty.
            let plain = if user.contains(':') { plain } else { [plain.as_slice(), b":"].concat() };
            Some(Secret::new(format!("Basic {}", base64::encode_padded(&plain))))
        }
    };
    Ok(Proxy { host, port: port.unwrap_or(80), authorization })
}

/// Resolves `%xx` (RFC 3986 section 2.1).
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

/// Whether a host is this machine: never asked through a proxy, whatever the variables say.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether `NO_PROXY` names `host`: `*`, a name (itself and everything below it, with or without a dot in
/// front), an address, a network such as `10.0.0.0/8`, each perhaps with `:port`; commas or spaces between.
pub(crate) fn is_excepted(list: &str, host: &str, port: u16) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            return address.is_some_and(|address| is_within(address, network, bits));
        }
        let (name, wanted) = split_port(entry);
        if wanted.is_some_and(|wanted| wanted != port) {
            return false;
        }
        if let Some(address) = address {
            return name.parse::<IpAddr>().is_ok_and(|entry| entry.to_canonical() == address);
        }
        let name = name.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        let below = host.strip_suffix(&name).is_some_and(|before| before.is_empty() || before.ends_with('.'));
        !name.is_empty() && below
    })
}

fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((inner, after)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (inner, after.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, port.parse().ok()),
        _ => (entry, None),
    }
}

fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    bits <= width && (address ^ network).checked_shr(width - bits).unwrap_or(0) == 0
}
