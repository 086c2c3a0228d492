//! `network:` and who it holds for.

use crate::config::tests::{faults, good};
use crate::net::reach::Reach;
use crate::upstream::mcp::server::Transport;

const CONFIG: &str = "
network: { allow_private: [10.0.0.0/8, 192.168.1.7, 'fd00::/8', '*.Corp.example.com'] }
providers: { a: { dialect: anthropic, base_url: 'http://127.0.0.1:1' } }
models: { m: [a] }
mcp_servers: { s: { url: 'http://10.0.0.1/mcp' } }
";

#[test]
fn what_is_listed_holds_for_all_servers() {
    let loaded = good(CONFIG, &[]);
    let shown = ["10.0.0.0/8", "192.168.1.7/32", "fd00::/8", "*.corp.example.com"];
    assert_eq!(loaded.shown.allow_private, shown);
    let text = loaded.shown.to_string();
    assert!(text.contains("network: { allow_private: [") && text.contains("*.corp.example.com"), "{text}");
    let provider = loaded.snapshot.providers[0].site.reach.clone();
    let Transport::Http(remote) = &loaded.snapshot.mcp.servers[0].server.transport else { panic!() };
    assert!(provider.written && provider.allow.networks.len() == 3 && provider.allow.names.len() == 1);
    assert_eq!(remote.site.reach, provider);
    // Where nothing is listed, nothing is shown, and what is reached is what is written.
    let bare = good("providers: { a: { dialect: anthropic, base_url: 'http://127.0.0.1:1' } }", &[]);
    assert!(!bare.shown.to_string().contains("network"));
    assert_eq!(bare.snapshot.providers[0].site.reach, Reach::written());
    // A new list is a new config.
    let other = good(&CONFIG.replace("10.0.0.0/8", "10.0.0.0/9"), &[]);
    assert_ne!(other.snapshot.version, loaded.snapshot.version);
}

#[test]
fn what_is_no_network_is_told() {
    for wrong in ["10.0.0.0/33", "10.0.0/8", "1.2.3", "a b", "http://x", "x/8", "''"] {
        let told = faults(&format!("network: {{ allow_private: ['{wrong}'] }}"), &[]);
        assert!(told.contains("tollgate.yaml:1:28: network.allow_private"), "{wrong}: {told}");
    }
    assert!(faults("network: { allow: [] }", &[]).contains("known here: allow_private"));
}
