//! Patterns of hosts, and the hosts that a text names: in addresses, behind `@`, or just so.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::glob::Glob;
use crate::limits;

/// A pattern such as `*.example.com`.
#[derive(Clone, Debug)]
pub(super) struct HostPattern {
    glob: Glob,
    /// It has letters and a dot of its own, so that a word which fits it is that host.
    telling: bool,
}

/// A host that a text may mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Host {
    /// In lower case, without the dot at its end.
    pub(super) name: String,
    /// It stands where hosts stand, so it is one; else it is only a word.
    pub(super) certain: bool,
}

impl HostPattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"*.-_:[]".contains(&byte);
        if text.is_empty() || !text.bytes().all(fits) {
            return Err(format!(
                "{text:?} is no host: write it without scheme, port and path, such as *.example.com"
            ));
        }
        let lower = text.trim_end_matches('.').to_ascii_lowercase();
        let literal: String = lower.split('*').max_by_key(|part| part.len()).unwrap_or_default().to_owned();
        let telling = !lower.contains('*') || (literal.len() > 3 && literal.contains(char::is_alphabetic));
        Ok(Self { glob: Glob::new(&lower), telling })
    }

    /// Whether a host has to be taken for one of these.
    pub(super) fn fits(&self, host: &Host) -> bool {
        // Letters that are no ASCII may be mapped to others on the way: nobody can tell which host that is.
        let unclear = host.certain && !host.name.is_ascii();
        unclear || ((host.certain || self.telling) && self.glob.matches(&host.name))
    }

    /// Whether a host is certainly one of these.
    pub(super) fn is(&self, host: &Host) -> bool {
        host.name.is_ascii() && self.glob.matches(&host.name)
    }
}

/// Bytes of a host as it may be written, each letter of the 253 as an escape.
const HOST_BYTES_MAX: usize = 3 * 253;

/// Programs whose operands are hosts.
const NETWORKED: &[&str] = &[
    "curl", "dig", "ftp", "git", "host", "http", "https", "httpie", "mosh", "nc", "ncat", "netcat", "nmap",
    "nslookup", "openssl", "ping", "rsync", "scp", "sftp", "socat", "ssh", "telnet", "wget",
];

/// Adds the hosts that a text names; nothing when there are too many. `whole`: the text is an address or a
/// host, as in a member `url`.
pub(super) fn add(text: &str, whole: bool, out: &mut HashSet<Host>) -> Option<()> {
    let mut push = |name: &str, certain| {
        let fits = name.len() <= HOST_BYTES_MAX && out.len() <= limits::JUDGED_HOSTS_MAX;
        if let Some(name) = normal(name).filter(|_| fits) {
            out.insert(Host { name, certain });
        }
    };
    // Whoever reads addresses drops these.
    let text: Cow<'_, str> = match text.contains(['\t', '\r', '\n']) && whole {
        true => text.replace(['\t', '\r', '\n'], "").into(),
        false => text.into(),
    };
    let slashed = text.match_indices("//").map(|(at, _)| authority(text.get(at + 2..).unwrap_or_default()));
    let first = whole.then(|| authority(strip_scheme(text.trim())));
    // Whoever spells a host at such length has something to hide.
    if slashed.chain(first).any(|name| name.len() > HOST_BYTES_MAX) {
        return None;
    }
    if whole {
        push(authority(strip_scheme(text.trim())), true);
    }
    for (at, _) in text.match_indices("//") {
        push(authority(text.get(at + 2..).unwrap_or_default()), true);
    }
    for (at, _) in text.match_indices("\\\\") {
        push(authority(text.get(at + 2..).unwrap_or_default()), true);
    }
    for (at, _) in text.match_indices("/dev/tcp/").chain(text.match_indices("/dev/udp/")) {
        push(authority(text.get(at + 9..).unwrap_or_default()), true);
    }
    for (at, _) in text.match_indices('@') {
        let rest = text.get(at + 1..).unwrap_or_default();
        push(authority(rest.split(|letter: char| !is_host_letter(letter)).next().unwrap_or_default()), true);
    }
    let networked = text
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .any(|word| NETWORKED.contains(&word));
    for word in text.split(|letter: char| !is_host_letter(letter)) {
        let plain = word.split(':').next().unwrap_or_default();
        push(plain, networked && plain.contains('.'));
        if word.contains("::") {
            push(word, networked);
        }
    }
    (out.len() <= limits::JUDGED_HOSTS_MAX).then_some(())
}

/// Commands of `git` that reach a host.
const GIT_NETWORKED: &[&str] =
    &["archive", "clone", "fetch", "ls-remote", "pull", "push", "remote", "submodule"];

/// Options of programs that reach hosts whose value is none.
const VALUED: &[&str] = &[
    "--cacert",
    "--cert",
    "--connect-timeout",
    "--cookie",
    "--cookie-jar",
    "--data",
    "--data-binary",
    "--data-raw",
    "--data-urlencode",
    "--depth",
    "--form",
    "--header",
    "--json",
    "--max-time",
    "--method",
    "--output",
    "--post-data",
    "--request",
    "--retry",
    "--user",
    "--user-agent",
    "--write-out",
    "-A",
    "-F",
    "-H",
    "-O",
    "-T",
    "-X",
    "-b",
    "-c",
    "-d",
    "-i",
    "-m",
    "-o",
    "-p",
    "-u",
    "-w",
];

/// Whether a command that reaches hosts leaves open which, by the gaps in its words.
pub(super) fn is_unclear(words: &[String], is_gap: fn(char) -> bool) -> bool {
    let Some(program) = words.first().map(|word| word.rsplit('/').next().unwrap_or_default()) else {
        return false;
    };
    let of_git = || words.iter().any(|word| GIT_NETWORKED.contains(&word.as_str()));
    if !NETWORKED.contains(&program) || (program == "git" && !of_git()) {
        return false;
    }
    let mut before = "";
    words.iter().skip(1).any(|word| {
        let valued = VALUED.contains(&before);
        before = word;
        let named = match word.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(char::is_whitespace) => {
                format!("{scheme}{}", rest.split(['/', '?', '#']).next().unwrap_or_default())
            }
            // Behind a slash or a blank no host begins.
            _ => word.split(['/', ' ']).next().unwrap_or_default().to_owned(),
        };
        let in_host = match named.split_once(':') {
            // The number of a port is no host, unless what stands there is one with a name in front of it.
            Some((host, port)) if !port.contains('@') => host.contains(is_gap) || port.contains('\u{e000}'),
            _ => named.contains(is_gap),
        };
        let option = named.starts_with('-') && !named.starts_with("--url=") && !named.starts_with("--proxy=");
        in_host && !valued && !option
    })
}

fn is_host_letter(letter: char) -> bool {
    letter.is_alphanumeric() || "-._:%[]".contains(letter) || is_dot(letter)
}

/// What is behind the scheme and the slashes: those who read addresses take any number of either kind.
fn strip_scheme(text: &str) -> &str {
    let rest = match text.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                && rest.starts_with(['/', '\\']) =>
        {
            rest
        }
        Some((scheme, rest))
            if ["http", "https", "ws", "wss", "ftp"]
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known)) =>
        {
            rest
        }
        _ => text,
    };
    rest.trim_start_matches(['/', '\\'])
}

/// The host of what begins with user, host and port.
fn authority(text: &str) -> &str {
    let text = text.trim_start_matches(['/', '\\']);
    let ends = |letter: char| "/\\?#\"'`<>|;&(){},$".contains(letter) || letter.is_whitespace();
    let all = text.split(ends).next().unwrap_or_default();
    let host = all.rsplit_once('@').map_or(all, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_dot(letter: char) -> bool {
    matches!(letter, '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
}

/// A host as those who connect to it read it; nothing where there is none.
fn normal(name: &str) -> Option<String> {
    let decoded = if name.contains('%') { percent_decoded(name) } else { name.to_owned() };
    let mut out = String::with_capacity(decoded.len());
    for letter in decoded.chars() {
        match letter {
            _ if is_dot(letter) => out.push('.'),
            // Letters of full width are the letters.
            '\u{ff01}'..='\u{ff5e}' => {
                out.extend(
                    char::from_u32(u32::from(letter) - 0xfee0).map(|letter| letter.to_ascii_lowercase()),
                );
            }
            // These are dropped.
            '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => {}
            _ => out.extend(letter.to_lowercase()),
        }
    }
    let plain = out.trim_matches(['[', ']']).trim_end_matches('.');
    let name = as_ipv4(plain).unwrap_or_else(|| plain.to_owned());
    (!name.is_empty()).then_some(name)
}

/// A text with its `%41` decoded, and U+FFFD where that is no UTF-8.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high * 16 + low));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `2130706433`, `0x7f.1` and the like as `127.0.0.1`.
fn as_ipv4(name: &str) -> Option<String> {
    let parts: Vec<u64> = name.split('.').map(ipv4_number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if parts.len() > 4 || first.iter().any(|&part| part > 255) {
        return None;
    }
    let room = 256_u64.pow(u32::try_from(5 - parts.len()).ok()?);
    let mut address = (*last < room).then_some(*last)?;
    for (place, part) in (0_u32..).zip(first) {
        address += part << (24 - 8 * place);
    }
    let bytes = u32::try_from(address).ok()?.to_be_bytes();
    // A number alone is a version or a port more often than a host; as an address it is written out.
    Some(bytes.map(|byte| byte.to_string()).join("."))
}

fn ipv4_number(part: &str) -> Option<u64> {
    let (digits, radix) = match part.strip_prefix("0x") {
        Some("") => return Some(0),
        Some(digits) => (digits, 16),
        None if part.len() > 1 && part.starts_with('0') => (part, 8),
        None => (part, 10),
    };
    u64::from_str_radix(digits, radix).ok()
}
