//! The address of a provider, read strictly: what is no plain http or https URL is refused, not repaired.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::upstream::site::Origin;

/// Why a text is no base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlFault {
    #[error("it must begin with http:// or https://")]
    Scheme,
    #[error("a user or password has no place in it; use `key`")]
    UserInfo,
    #[error("`?` and `#` have no place in it")]
    QueryOrFragment,
    #[error("its host is missing or not a host name")]
    Host,
    #[error("its port is not a number from 1 to 65535")]
    Port,
    #[error("its path holds characters that must be escaped")]
    Path,
}

/// Reads `http(s)://host[:port][/path]` into origin and path. The path comes without a slash at its end and
/// without a last `/v1`, since that part belongs to the addresses of the dialect.
pub(crate) fn parse(text: &str) -> Result<(Origin, String), UrlFault> {
    let (origin, path) = parse_whole(text)?;
    let path = path.strip_suffix("/v1").unwrap_or(&path).trim_end_matches('/');
    Ok((origin, path.to_owned()))
}

/// Reads `http(s)://host[:port][/path][?query]` into origin and target, which begins with a slash.
pub(crate) fn parse_endpoint(text: &str) -> Result<(Origin, String), UrlFault> {
    let (before, query) = match text.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (text, None),
    };
    let (origin, path) = split(before)?;
    let path = if path.is_empty() { "/" } else { path };
    let Some(query) = query else { return Ok((origin, path.to_owned())) };
    if query.contains('#') {
        return Err(UrlFault::QueryOrFragment);
    }
    if !query.bytes().all(|byte| is_path_byte(byte) || byte == b'?') {
        return Err(UrlFault::Path);
    }
    Ok((origin, format!("{path}?{query}")))
}

/// Reads `http(s)://host[:port][/path]` into origin and path, which comes without a slash at its end.
pub(crate) fn parse_whole(text: &str) -> Result<(Origin, String), UrlFault> {
    let (origin, path) = split(text)?;
    Ok((origin, path.trim_end_matches('/').to_owned()))
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte)
}

fn split(text: &str) -> Result<(Origin, &str), UrlFault> {
    let (scheme, rest) = text.split_once("://").ok_or(UrlFault::Scheme)?;
    let https = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err(UrlFault::Scheme),
    };
    if rest.contains(['?', '#']) {
        return Err(UrlFault::QueryOrFragment);
    }
    let slash = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(slash).ok_or(UrlFault::Host)?;
    if authority.contains('@') {
        return Err(UrlFault::UserInfo);
    }
    let (host, port) = host_and_port(authority)?;
    let port = port.unwrap_or(if https { 443 } else { 80 });
    if !path.bytes().all(is_path_byte) || path.split('/').any(|part| part == "." || part == "..") {
        return Err(UrlFault::Path);
    }
    Ok((Origin { https, host, port }, path))
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`. The host comes in lower case and without brackets.
pub(crate) fn host_and_port(authority: &str) -> Result<(String, Option<u16>), UrlFault> {
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or(UrlFault::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_why| UrlFault::Host)?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(UrlFault::Port),
        };
        (host, port)
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if !authority.starts_with('[') && !is_host(host) {
        return Err(UrlFault::Host);
    }
    let port = match port {
        None => None,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(text.parse::<u16>().ok().filter(|&port| port != 0).ok_or(UrlFault::Port)?)
        }
        Some(_) => return Err(UrlFault::Port),
    };
    Ok((host.to_ascii_lowercase(), port))
}

/// A DNS name of RFC 1123 (with `_`, which container networks use) or an IPv4 address.
fn is_host(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(fits) && !label.starts_with('-')
    };
    // What ends like a number must be an address: `1.2.3` and `0x7f.1` mean different hosts to different
    // readers.
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    name.len() <= 253 && name.split('.').all(label) && (!numeric || name.parse::<Ipv4Addr>().is_ok())
}
