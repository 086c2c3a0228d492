//! Names and documents that lead inside: refused when the connection is made, with what to write.

use std::time::Duration;

use crate::client::{messages, once};
use crate::gateway::{Gateway, KEY, for_each_engine, tollgate};
use crate::mcp_caller::Caller;
use crate::peer::scripted_upstream;
use crate::peer::speaks_mcp::Era;
use crate::program::eventually;

const SOON: Duration = Duration::from_secs(60);

/// The name of this machine, if it has an address of no network of the Internet.
fn own_name() -> Option<String> {
    let name = std::fs::read_to_string("/etc/hostname").ok()?.trim().to_ascii_lowercase();
    let mut found = std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), 1)).ok()?;
    let private = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(address) => address.is_private() || address.is_loopback(),
        std::net::IpAddr::V6(_) => false,
    };
    (!name.is_empty() && found.all(|address| private(address.ip()))).then_some(name)
}

#[test]
fn a_name_that_leads_inside_has_to_be_listed() {
    let Some(name) = own_name() else {
        eprintln!("SKIPPED: this machine has no name with a private address");
        return;
    };
    for_each_engine(|engine| {
        // The address that the name has; nothing listens there, but it is known what was tried.
        let upstream = format!("http://{name}:9");
        let gateway = Gateway::with(engine, &upstream, "");
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", false));
        let message = reply.refusal(502, "api_error");
        assert!(!message.contains("allow_private"), "callers learn nothing of our network: {message}");
        let wanted = format!("network: {{ allow_private: [\\\"{name}\\\"] }}");
        eventually("the log says what to write", SOON, || gateway.log().text().contains(&wanted));

        let listed = format!("network: {{ allow_private: [\"{name}\"] }}");
        let gateway = Gateway::with(engine, &upstream, &listed);
        once(gateway.addr(), &messages(KEY, "claude-any", false)).refusal(502, "api_error");
        eventually("it was tried", SOON, || gateway.log().calls(1).len() == 1);
        assert!(!gateway.log().text().contains("allow_private"), "{}", gateway.log().text());
    });
}

#[test]
fn a_document_leads_nowhere_inside() {
    let upstream = scripted_upstream::plain();
    let inside = scripted_upstream::plain();
    let document = format!(
        "{{\"openapi\":\"3.0.0\",\"info\":{{\"title\":\"t\",\"version\":\"1\"}},\
         \"servers\":[{{\"url\":\"{}\"}}],\
         \"paths\":{{\"/x\":{{\"get\":{{\"operationId\":\"x\"}}}}}}}}",
        inside.url()
    );
    let call = |more: &str| {
        let servers = format!("mcp_servers: {{ api: {{ openapi: ./api.json }} }}\n{more}");
        let folder = crate::gateway::Folder::new();
        folder.write("api.json", &document);
        let engine = crate::gateway::Engine::Epoll;
        folder.write("tollgate.yaml", &crate::gateway::config(engine, &upstream.url(), &servers));
        let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
        let mut caller = Caller::new(&gateway, Era::Modern, "/mcp");
        String::from_utf8_lossy(caller.call("1", "x", "{}").raw()).into_owned()
    };
    let refused = call("");
    assert!(inside.seen().is_empty(), "{refused}");
    let answered = call("network: { allow_private: [127.0.0.0/8] }");
    assert_eq!(inside.seen().len(), 1, "{answered}");
}
