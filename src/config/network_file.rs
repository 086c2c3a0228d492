//! `network:`: what may be reached beside the Internet.

use crate::config::reader::{Reader, quoted};
use crate::config::yaml::Node;
use crate::glob::Glob;
use crate::limits;
use crate::net::reach::{Allow, Network};

/// Reads `network:`.
pub(crate) fn read(node: &Node, reader: &mut Reader) -> Option<Allow> {
    let fields = reader.fields(node, "network", &["allow_private"])?;
    let mut allow = Allow::default();
    let Some(node) = fields.get("allow_private") else { return Some(allow) };
    let what = "network.allow_private";
    let nodes = reader.list(node, what)?;
    let most = limits::NETWORK_ALLOWED_MAX;
    if nodes.len() > most {
        reader.fault(node.mark, format!("{what}: expected at most {most} entries"));
    }
    for node in nodes.iter().take(most) {
        let Some(text) = reader.text(node, what) else { continue };
        let word = text.value.to_ascii_lowercase();
        if let Some(network) = Network::parse(&word) {
            allow.networks.push(network);
        } else if is_pattern(&word) {
            allow.names.push(Glob::new(&word));
        } else {
            let wanted = "a network such as 10.0.0.0/8, an address, or a name such as *.corp.example.com";
            reader.fault(text.mark, format!("{what}: expected {wanted}, found {}", quoted(&text.value)));
        }
    }
    Some(allow)
}

/// Whether a text may be the name of a host, with `*` in it or not. What ends like a number is an address
/// that was not understood.
fn is_pattern(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*');
    let last = text.rsplit('.').next().unwrap_or_default();
    let number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    !text.is_empty() && text.len() <= limits::PATTERN_CHARS_MAX && text.bytes().all(fits) && !number
}

/// What is listed, as it can be written again.
pub(crate) fn shown(allow: &Allow) -> Vec<String> {
    let networks = allow.networks.iter().map(ToString::to_string);
    networks.chain(allow.names.iter().map(|name| name.as_str().to_owned())).collect()
}
