//! Tables of base URLs, proxies and `NO_PROXY`.

use crate::config::base_url::{self, UrlFault};
use crate::config::environment::Environment;
use crate::config::proxy::{ProxyVariables, is_excepted, is_loopback, parse};
use crate::upstream::site::Origin;

fn url(text: &str) -> Result<(bool, String, u16, String), UrlFault> {
    base_url::parse(text).map(|(origin, path)| (origin.https, origin.host, origin.port, path))
}

#[test]
fn base_urls_that_hold() {
    for (text, https, host, port, path) in [
        ("https://api.anthropic.com", true, "api.anthropic.com", 443, ""),
        ("https://api.anthropic.com/", true, "api.anthropic.com", 443, ""),
        ("https://api.anthropic.com/v1", true, "api.anthropic.com", 443, ""),
        ("https://api.anthropic.com//v1//", true, "api.anthropic.com", 443, ""),
        ("HTTP://LOCALHOST:8081/a/b/v1/", false, "localhost", 8081, "/a/b"),
        ("http://h/v1x", false, "h", 80, "/v1x"),
        ("http://[::1]:8081/x", false, "::1", 8081, "/x"),
        ("https://[2001:DB8::1]", true, "2001:db8::1", 443, ""),
        ("http://10.0.0.1:1", false, "10.0.0.1", 1, ""),
        ("http://my_service.ns.svc.", false, "my_service.ns.svc.", 80, ""),
    ] {
        assert_eq!(url(text), Ok((https, host.to_owned(), port, path.to_owned())), "{text}");
    }
}

#[test]
fn base_urls_that_do_not() {
    for (text, why) in [
        ("", UrlFault::Scheme),
        ("//h", UrlFault::Scheme),
        ("unix://h", UrlFault::Scheme),
        ("http:///x", UrlFault::Host),
        ("http://a b", UrlFault::Host),
        ("http://-a", UrlFault::Host),
        ("http://a..b", UrlFault::Host),
        ("http://1.2.3", UrlFault::Host),
        ("http://256.1.1.1", UrlFault::Host),
        ("http://0x7f000001", UrlFault::Host),
        ("http://[::1", UrlFault::Host),
        ("http://[nonsense]", UrlFault::Host),
        ("http://[::1]x", UrlFault::Port),
        ("http://::1", UrlFault::Host),
        ("http://h:", UrlFault::Port),
        ("http://h:65536", UrlFault::Port),
        ("http://h:+1", UrlFault::Port),
        ("http://h/a b", UrlFault::Path),
        ("http://h/\u{e4}", UrlFault::Path),
        ("http://h/./x", UrlFault::Path),
        ("http://h\r\nx: y", UrlFault::Host),
    ] {
        assert_eq!(url(text), Err(why), "{text}");
    }
}

#[test]
fn proxies() {
    for (text, host, port, authorization) in [
        ("http://proxy:3128", "proxy", 3128, None),
        ("proxy:3128", "proxy", 3128, None),
        ("http://proxy/", "proxy", 80, None),
        ("http://[::1]:1", "::1", 1, None),
        ("http://aladdin:open%20sesame@p:1", "p", 1, Some("Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
        ("http://user@p:1", "p", 1, Some("Basic dXNlcjo=")),
        ("http://u:a@b@p:1", "p", 1, Some("Basic dTphQGI=")),
    ] {
        let proxy = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!((proxy.host.as_str(), proxy.port), (host, port), "{text}");
        assert_eq!(proxy.authorization.as_ref().map(|value| value.expose()), authorization, "{text}");
    }
    for text in
        ["https://proxy:1", "socks5://proxy:1", "http://", "http://p:x", "http://u:%zz@p:1", "http://p:1/x"]
    {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn who_is_excepted() {
    for (list, host, port, expected) in [
        ("", "a.com", 443, false),
        ("*", "a.com", 443, true),
        ("a.com", "a.com", 443, true),
        ("A.com", "a.COM", 443, true),
        (".a.com", "a.com", 443, true),
        ("*.a.com", "x.a.com", 443, true),
        ("a.com", "x.y.a.com", 443, true),
        ("a.com.", "x.a.com", 443, true),
        ("a.com", "x.a.com.", 443, true),
        ("a.com", "ba.com", 443, false),
        ("x.a.com", "a.com", 443, false),
        ("b.com, a.com", "a.com", 443, true),
        ("b.com a.com", "a.com", 443, true),
        (",, ,", "a.com", 443, false),
        (".", "a.com", 443, false),
        ("a.com:443", "a.com", 443, true),
        ("a.com:8443", "a.com", 443, false),
        ("a.com:x", "a.com", 443, true),
        ("10.0.0.1", "10.0.0.1", 443, true),
        ("10.0.0.1:1", "10.0.0.1", 443, false),
        ("0.0.1", "10.0.0.1", 443, false),
        ("10.0.0.0/8", "10.255.0.1", 443, true),
        ("10.0.0.0/8", "11.0.0.1", 443, false),
        ("10.0.0.0/33", "10.0.0.1", 443, false),
        ("0.0.0.0/0", "11.0.0.1", 443, true),
        ("::/0", "2001:db8::1", 443, true),
        ("2001:db8::/32", "2001:db8::1", 443, true),
        ("2001:db8::1", "2001:db8:0::1", 443, true),
        ("[2001:db8::1]:443", "2001:db8::1", 443, true),
        ("[2001:db8::1]:1", "2001:db8::1", 443, false),
        ("::ffff:10.0.0.1", "10.0.0.1", 443, true),
        ("10.0.0.0/8", "a.com", 443, false),
    ] {
        assert_eq!(is_excepted(list, host, port), expected, "{list:?} {host} {port}");
    }
}

#[test]
fn this_machine_is_never_asked_through_a_proxy() {
    for host in
        ["localhost", "a.localhost", "localhost.", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
    {
        assert!(is_loopback(host), "{host}");
    }
    for host in ["localhost.com", "notlocalhost", "128.0.0.1", "::2"] {
        assert!(!is_loopback(host), "{host}");
    }
}

#[test]
fn variables_apply_to_https_only() {
    let folder = std::path::Path::new("");
    let variables =
        [("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:2"), ("NO_PROXY", "no.com")];
    let proxies = ProxyVariables::read(&Environment::given(&variables, folder));
    let host = |https, host: &str| {
        let origin = Origin { https, host: host.to_owned(), port: 443 };
        proxies.for_origin(&origin).unwrap().map(|proxy| proxy.host)
    };
    assert_eq!(host(true, "a.com").as_deref(), Some("lower"));
    assert_eq!(host(false, "a.com"), None);
    assert_eq!(host(true, "no.com"), None);
    assert_eq!(host(true, "localhost"), None);
    assert!(!format!("{proxies:?}").contains("lower"));
    let socks = ProxyVariables::read(&Environment::given(&[("HTTPS_PROXY", "socks5://p:1")], folder));
    let origin = Origin { https: true, host: "a.com".to_owned(), port: 443 };
    assert!(socks.for_origin(&origin).is_err());
}
