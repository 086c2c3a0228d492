//! What of MCP servers is not shown over HTTP although the config has it in plain words: arguments of
//! programs and paths of addresses, where people put secrets. Whoever has the file reads it there.

use serde_json::Value;

use crate::config::shown::MASK;

/// Masks it in a config, or in the part of one that stands at `path`, names with dots between them.
pub(super) fn mask(path: &str, value: &mut Value) {
    let name = path.rsplit('.').next().unwrap_or_default();
    walk(name, path.starts_with(SERVERS), value);
}

const SERVERS: &str = "mcp_servers";

fn walk(name: &str, in_servers: bool, value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                walk(name, in_servers || name == SERVERS, value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| walk(name, in_servers, value)),
        Value::String(text) if in_servers => match name {
            "args" => *text = option(text),
            "url" | "base_url" | "openapi" => *text = host(text),
            _ => {}
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The name of an option, without what it is set to: `-t`, `--token=***`. All else is masked.
fn option(argument: &str) -> String {
    let (name, set) = match argument.split_once('=') {
        Some((name, _)) => (name, format!("={MASK}")),
        None => (argument, String::new()),
    };
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    let long = name.strip_prefix("--").is_some_and(|word| !word.is_empty() && word.bytes().all(letter));
    // Behind one dash what an option is set to may follow at once.
    let short = name.len() == 2 && name.starts_with('-');
    if long || short { format!("{name}{set}") } else { MASK.to_owned() }
}

/// Scheme and host of an address. The path of a file is none.
fn host(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        // A reference stands as the mask, and a file under its name.
        return address.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.split_at_checked(end) {
        Some((host, "" | "/")) => format!("{scheme}://{host}"),
        Some((host, _)) => format!("{scheme}://{host}/{MASK}"),
        None => MASK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::mask;

    #[test]
    fn servers_keep_their_names_and_hosts_alone() {
        let server = json!({ "name": "url", "url": "https://mcp.example.com:8443/t/sEcr3t?key=***",
            "openapi": "./api.yaml", "base_url": "http://127.0.0.1/", "command": "/bin/server",
            "args": ["--token=sEcr3t", "--verbose", "-psEcr3t", "-p", "sEcr3t", "--sEcr3t", "--",
                "a=sEcr3t"] });
        let masked = json!({ "name": "url", "url": "https://mcp.example.com:8443/***",
            "openapi": "./api.yaml", "base_url": "http://127.0.0.1", "command": "/bin/server",
            "args": ["--token=***", "--verbose", "***", "-p", "***", "***", "--", "***"] });
        let provider = json!({ "name": "p", "base_url": "https://llm.example.com/base", "args": ["x"] });
        let mut config = json!({ "providers": [provider], "mcp_servers": [server] });
        mask("", &mut config);
        assert_eq!(config, json!({ "providers": [provider], "mcp_servers": [masked] }));
        // Parts of a config, as differences name them.
        for (path, part, wanted) in [
            ("mcp_servers", json!([server]), json!([masked])),
            ("mcp_servers.url", server.clone(), masked.clone()),
            ("mcp_servers.url.url", server["url"].clone(), masked["url"].clone()),
            ("mcp_servers.a.b.args", server["args"].clone(), masked["args"].clone()),
            ("providers.p.base_url", provider["base_url"].clone(), provider["base_url"].clone()),
        ] {
            let mut part = part;
            mask(path, &mut part);
            assert_eq!(part, wanted, "{path}");
        }
    }
}
