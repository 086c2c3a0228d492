//! The way through a proxy: who is asked for a tunnel, with which credential, and what a refusal costs.

use std::time::{Duration, Instant};

use crate::client::{Reply, messages, messages_body, once};
use crate::gateway::{Engine, Folder, Gateway, KEY, config, for_each_engine, tollgate};
use crate::peer::connect_proxy::{ESTABLISHED, Manner, Proxy};
use crate::peer::scripted_upstream;
use crate::peer::speaks_tls::TlsPeer;

/// A name that leads nowhere but through the proxy.
const NOWHERE: &str = "api.upstream.test";

/// An address of this machine that is none of its loopback addresses by the letter.
const HERE: &str = "0.0.0.0";

/// User and password as they stand in a URL, and as they go out.
const USER: &str = "ada:p%40ss%3Aword";
const BASIC: &str = "Basic YWRhOnBAc3M6d29yZA==";

/// A gateway with `variables`, whose provider is reached at `url` and shows `certificate`.
fn gateway(engine: Engine, url: &str, certificate: &str, variables: &[(&str, &str)]) -> Gateway {
    let folder = Folder::new();
    folder.write("ca.pem", certificate);
    folder.write("tollgate.yaml", &config(engine, url, "ca_file: ca.pem"));
    let mut command = tollgate(folder.path());
    Gateway::run(command.envs(variables.iter().copied()), folder)
}

fn ask(gateway: &Gateway) -> Reply {
    once(gateway.addr(), &messages(KEY, "claude-any", true))
}

/// Asserts that the proxy was asked for exactly these tunnels, each without our keys.
#[track_caller]
fn asked_for(proxy: &Proxy, tunnels: &[&str]) {
    let asked = proxy.asked();
    let targets: Vec<_> = asked.iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect();
    let expected: Vec<_> = tunnels.iter().map(|tunnel| format!("CONNECT {tunnel}")).collect();
    assert_eq!(targets, expected);
    for seen in asked {
        assert_eq!(seen.header("host"), Some(seen.target.as_str()), "{seen:?}");
        assert!(!format!("{seen:?}").contains(crate::gateway::UPSTREAM_KEY), "{seen:?}");
        assert!(!format!("{seen:?}").contains(KEY), "{seen:?}");
    }
}

#[test]
fn an_https_provider_is_asked_through_the_proxy() {
    for_each_engine(|engine| {
        for (user, credential) in [("", None), ("ada:p%40ss%3Aword@", Some(BASIC))] {
            let upstream = TlsPeer::start(NOWHERE, "{\"through\":true}");
            let proxy = Proxy::to(upstream.addr());
            let url = format!("http://{user}{}", proxy.addr());
            let https = format!("https://{NOWHERE}");
            let gateway = gateway(engine, &https, upstream.certificate(), &[("HTTPS_PROXY", &url)]);
            let reply = ask(&gateway);
            assert_eq!((reply.head.status, &*reply.body), (200, &b"{\"through\":true}"[..]), "{reply:?}");
            asked_for(&proxy, &[&format!("{NOWHERE}:443")]);
            assert_eq!(proxy.asked()[0].header("proxy-authorization"), credential);
            let seen = upstream.seen().remove(0);
            assert_eq!(seen.body, messages_body("claude-any", true).into_bytes());
            assert_eq!(seen.header("host"), Some(NOWHERE));
            assert_eq!(seen.header("proxy-authorization"), None, "{seen:?}");
            assert_eq!(upstream.opened()[0].server_name.as_deref(), Some(NOWHERE));
            hidden(&gateway, &reply, &proxy);
        }
    });
}

/// Asserts that neither log nor reply tell where the proxy is or what we show it.
#[track_caller]
fn hidden(gateway: &Gateway, reply: &Reply, proxy: &Proxy) {
    gateway.log().calls(1);
    let (log, body) = (gateway.log().text(), String::from_utf8_lossy(&reply.body).into_owned());
    for secret in [USER, "p@ss:word", "p%40ss", BASIC.trim_start_matches("Basic ")] {
        assert!(!log.contains(secret), "{log}");
        assert!(!format!("{:?}", reply.head).contains(secret) && !body.contains(secret), "{body}");
    }
    let address = proxy.addr().to_string();
    assert!(!format!("{:?}", reply.head).contains(&address) && !body.contains(&address), "{body}");
}

#[test]
fn no_proxy_plain_http_and_loopback_go_straight() {
    for_each_engine(|engine| {
        let upstream = TlsPeer::start(HERE, "{}");
        let here = format!("https://{HERE}:{}", upstream.port());
        let through = format!("{HERE}:{}", upstream.port());
        for (except, tunnels) in [("", &[&*through][..]), ("other.test", &[&*through]), ("0.0.0.0/8", &[])] {
            let proxy = Proxy::to(upstream.addr());
            let variables = [("HTTPS_PROXY", &*format!("http://{}", proxy.addr())), ("NO_PROXY", except)];
            let gateway = gateway(engine, &here, upstream.certificate(), &variables);
            assert_eq!(ask(&gateway).head.status, 200, "{except:?}");
            asked_for(&proxy, tunnels);
        }

        let plain = scripted_upstream::plain();
        let loopback = TlsPeer::start("localhost", "{}");
        for url in [
            format!("http://{HERE}:{}", plain.addr().port()),
            format!("https://localhost:{}", loopback.port()),
        ] {
            let proxy = Proxy::to(upstream.addr());
            let variables = [("https_proxy", &*format!("http://{}", proxy.addr()))];
            let gateway = gateway(engine, &url, loopback.certificate(), &variables);
            assert_eq!(ask(&gateway).head.status, 200, "{url}");
            asked_for(&proxy, &[]);
        }
    });
}

#[test]
fn the_proxy_of_a_provider_goes_before_the_environment() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let (own, common) = (Proxy::to(upstream.addr()), Proxy::to(upstream.addr()));
        let variables = [("HTTPS_PROXY", &*format!("http://{}", common.addr())), ("NO_PROXY", "*")];
        let own_url = format!("http://{USER}@{}", own.addr());
        // Also to this machine and without TLS: whoever writes it down means it.
        for (url, tunnel) in [
            (format!("http://{NOWHERE}"), format!("{NOWHERE}:80")),
            ("http://127.0.0.1:9".to_owned(), "127.0.0.1:9".to_owned()),
        ] {
            let folder = Folder::new();
            let text = config(engine, &url, "").replace(", key:", &format!(", proxy: \"{own_url}\", key:"));
            folder.write("tollgate.yaml", &text);
            let mut command = tollgate(folder.path());
            let gateway = Gateway::run(command.envs(variables), folder);
            let before = own.asked().len();
            let reply = ask(&gateway);
            assert_eq!(reply.head.status, 200, "{reply:?}");
            let asked = own.asked();
            assert_eq!(asked.len(), before + 1, "one tunnel is enough");
            assert_eq!(asked[before].target, tunnel);
            assert_eq!(asked[before].header("proxy-authorization"), Some(BASIC));
            hidden(&gateway, &reply, &own);
        }
        asked_for(&common, &[]);

        let tls = TlsPeer::start(HERE, "{}");
        let folder = Folder::new();
        folder.write("ca.pem", tls.certificate());
        let text = config(engine, &format!("https://{HERE}:{}", tls.port()), "ca_file: ca.pem");
        folder.write("tollgate.yaml", &text.replace(", key:", ", proxy: none, key:"));
        let mut command = tollgate(folder.path());
        let gateway = Gateway::run(command.env("HTTPS_PROXY", format!("http://{}", common.addr())), folder);
        assert_eq!(ask(&gateway).head.status, 200);
        asked_for(&common, &[]);
    });
}

#[test]
fn a_tunnel_is_taken_however_it_is_granted() {
    for_each_engine(|engine| {
        for words in [
            ESTABLISHED,
            "HTTP/1.0 200 Connection established\r\n\r\n",
            "HTTP/1.1 204 Fine\r\nProxy-Agent: x\r\n\r\n",
            // A client has to ignore both in an answer to CONNECT (RFC 9110 section 9.3.6).
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            let upstream = TlsPeer::start(NOWHERE, "{}");
            let proxy = Proxy::start(Manner::Tunnels(upstream.addr(), words));
            let variables = [("HTTPS_PROXY", &*format!("http://{}", proxy.addr()))];
            let https = format!("https://{NOWHERE}");
            let gateway = gateway(engine, &https, upstream.certificate(), &variables);
            let reply = ask(&gateway);
            assert_eq!(reply.head.status, 200, "{words:?}: {reply:?}\n{}", gateway.log().text());
        }
    });
}

#[test]
fn a_proxy_that_refuses_is_a_502_that_tells_nothing_of_it() {
    for_each_engine(|engine| {
        for words in [
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\
             Content-Length: 6\r\n\r\nno way",
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: http://login.test/\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
            "",
        ] {
            let proxy = Proxy::start(Manner::Answers(words));
            let variables = [("HTTPS_PROXY", &*format!("http://{USER}@{}", proxy.addr()))];
            let made = TlsPeer::start(NOWHERE, "{}");
            let https = format!("https://{NOWHERE}");
            let gateway = gateway(engine, &https, made.certificate(), &variables);
            let reply = ask(&gateway);
            let message = reply.refusal(502, "api_error");
            assert!(message.contains("provider up"), "{message}");
            assert_ne!(reply.header("x-should-retry"), Some("false"), "{words:?}");
            asked_for(&proxy, &[&format!("{NOWHERE}:443")]);
            hidden(&gateway, &reply, &proxy);
            if words.starts_with("HTTP/1.1 407") {
                assert!(gateway.log().text().contains("407"), "the log says what the proxy wants");
            }
        }
    });
}

#[test]
fn a_proxy_that_says_nothing_is_given_up() {
    for_each_engine(|engine| {
        let proxy = Proxy::start(Manner::NeverAnswers);
        let variables = [("HTTPS_PROXY", &*format!("http://{USER}@{}", proxy.addr()))];
        let made = TlsPeer::start(NOWHERE, "{}");
        let gateway = gateway(engine, &format!("https://{NOWHERE}"), made.certificate(), &variables);
        let started = Instant::now();
        let reply = ask(&gateway);
        reply.refusal(502, "api_error");
        assert!(started.elapsed() < Duration::from_secs(15), "it took {:?}", started.elapsed());
        hidden(&gateway, &reply, &proxy);
    });
}
