//! Tokens of an issuer: made by a library of other people, verified by us.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::claude_code::{claude, result};
use crate::client::{Reply, get, mcp, messages_body, once, post};
use crate::gateway::{Engine, Folder, Gateway, KEY, for_each_engine};
use crate::keys::key;
use crate::ledger::entries_of;
use crate::peer::{Peer, scripted_upstream};
use crate::peers;
use crate::program::{self, eventually};

const SOON: Duration = Duration::from_secs(30);

/// An issuer that runs for one test.
struct Issuer {
    child: Child,
    port: u16,
}

impl Issuer {
    fn start() -> Self {
        let mut child = Command::new(peers::jwt_python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/jwt_issuer.py"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        Self { child, port: line.trim().parse().expect("it is a port") }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    #[track_caller]
    fn ask(&self, path: &str, wish: &Value) -> Value {
        let addr = ([127, 0, 0, 1], self.port).into();
        once(addr, &post(path, "none", &[], wish.to_string().as_bytes())).json()
    }

    fn counts(&self) -> (u64, u64) {
        let addr = ([127, 0, 0, 1], self.port).into();
        let counts = once(addr, &get("GET", "/counts", &[])).json();
        let count = |name: &str| counts[name].as_u64().expect("it counts");
        (count("discovery"), count("keys"))
    }

    /// Good claims, changed.
    fn claims(&self, change: impl FnOnce(&mut Value)) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let mut claims = json!({
            "iss": self.url(), "aud": "tollgate", "sub": "00u1", "email": "ana@example.com",
            "groups": ["pay-dev"], "iat": now, "nbf": now, "exp": now + 3600,
        });
        change(&mut claims);
        claims
    }

    #[track_caller]
    fn token(&self, alg: &str, change: impl FnOnce(&mut Value)) -> String {
        self.token_of(&json!({ "alg": alg, "claims": self.claims(change) }))
    }

    #[track_caller]
    fn token_of(&self, wish: &Value) -> String {
        self.ask("/token", wish)["token"].as_str().expect("it gives a token").to_owned()
    }

    /// A gateway that takes its tokens.
    fn gateway(&self, engine: Engine, upstream: &Peer) -> Gateway {
        let url = self.url();
        let more = format!(
            "identity:\n  issuers:\n    \
               - {{ issuer: \"{url}\", audience: tollgate,\n        \
                   teams: {{ pay-dev: narrow, sre-*: narrow }} }}\n    \
               - {{ issuer: \"{url}\", audience: tollgate-admin, roles: {{ audit: auditor }} }}\n"
        );
        let gateway = Gateway::with(engine, &upstream.url(), &more);
        eventually("the keys are here", SOON, || gateway.log().find("keys of an issuer are here").is_some());
        gateway
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn call(gateway: &Gateway, token: &str) -> Reply {
    call_for(gateway, token, "claude-allowed")
}

/// As Claude Code calls with a helper: the token in two headers.
fn call_for(gateway: &Gateway, token: &str, model: &str) -> Reply {
    let body = messages_body(model, false);
    once(gateway.addr(), &post("/v1/messages", token, &[("x-api-key", token)], body.as_bytes()))
}

#[test]
fn tokens_of_every_algorithm_open_what_their_team_may() {
    let issuer = Issuer::start();
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = issuer.gateway(engine, &upstream);
        let algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
        let tokens: Vec<String> = algorithms.iter().map(|alg| issuer.token(alg, |_| {})).collect();
        for (alg, token) in algorithms.iter().zip(&tokens) {
            for _ in 0..2 {
                assert_eq!(call(&gateway, token).head.status, 200, "{alg}");
            }
            let other = call_for(&gateway, token, "claude-other").refusal(403, "permission_error");
            assert!(other.contains("team narrow"), "{other}");
        }
        let sre = issuer.token("ES256", |all| all["groups"] = json!(["all", "sre-eu"]));
        let body = messages_body("claude-allowed", false);
        let alone = once(gateway.addr(), &post("/t/narrow/v1/messages", &sre, &[], body.as_bytes()));
        assert_eq!(alone.head.status, 200, "in one header, at the team's own address");
        let elsewhere = once(gateway.addr(), &post("/t/other/v1/messages", &sre, &[], body.as_bytes()));
        elsewhere.refusal(403, "permission_error");
        assert!(upstream.seen().iter().all(|seen| {
            seen.headers.iter().all(|(_, value)| tokens.iter().all(|token| !value.contains(token)))
        }));
        let entries = entries_of(gateway);
        let of = |kind: &str| entries.iter().filter(|one| one["kind"] == kind).cloned().collect::<Vec<_>>();
        let signed_in = of("sign_in");
        assert_eq!(signed_in.len(), tokens.len() + 1, "each token is seen once: {signed_in:?}");
        for one in &signed_in {
            assert_eq!((&one["user"], &one["team"]), (&json!("ana@example.com"), &json!("narrow")), "{one}");
            assert_eq!(one["key"], "oidc:ana@example.com");
            assert!(one["decision"].as_str().is_some_and(|text| text.contains(&issuer.url())), "{one}");
        }
        let calls = of("model_call");
        assert!(
            calls.iter().all(|one| one["user"] == "ana@example.com" && one["team"] == "narrow"),
            "{calls:?}"
        );
        let text = format!("{entries:?}");
        for token in &tokens {
            let signature = token.rsplit('.').next().expect("it has parts");
            assert!(!text.contains(signature), "no token is written down");
        }
    });
}

#[test]
fn forged_tokens_are_refused_with_the_reason() {
    let issuer = Issuer::start();
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = issuer.gateway(engine, &upstream);
        let with = |change: fn(&mut Value)| issuer.token("RS256", change);
        let good = with(|_| {});
        let (text, signature) = good.rsplit_once('.').expect("it has parts");
        let other = with(|all| all["sub"] = json!("root"));
        let (other, _) = other.rsplit_once('.').expect("it has parts");
        let of = |wish: Value| issuer.token_of(&wish);
        let claims = issuer.claims(|_| {});
        let forged = [
            (of(json!({ "alg": "none", "claims": claims })), "algorithm"),
            (of(json!({ "alg": "HS256", "claims": claims })), "algorithm"),
            (of(json!({ "alg": "ES256", "kid": "made-up", "claims": claims })), "does not have"),
            (of(json!({ "alg": "ES256", "kid": "RS-1", "claims": claims })), "does not have"),
            (of(json!({ "alg": "RS256", "claims": claims, "headers": { "crit": ["exp"] } })), "algorithm"),
            (format!("{other}.{signature}"), "signature"),
            (text.to_owned() + ".", "signature"),
            (format!("{good}.{signature}"), "no valid key"),
            (format!("{text}.{}", signature.split_at(9).1), "the token"),
            (with(|all| all["aud"] = json!("somebody-else")), "another audience"),
            (with(|all| all["iss"] = json!("https://evil.example")), "does not know"),
            (with(|all| all["exp"] = json!(1_700_000_000)), "has expired"),
            (with(|all| all["nbf"] = json!(4_000_000_000_u64)), "not valid yet"),
            (with(|all| drop(all.as_object_mut().map(|all| all.remove("exp")))), "\"exp\""),
            (with(|all| all["email_verified"] = json!(false)), "email_verified"),
        ];
        for (token, why) in &forged {
            let reply = call(&gateway, token);
            let told = reply.refusal(401, "authentication_error");
            assert!(told.contains(why), "{why}: {told}");
            assert_eq!(reply.header("x-should-retry"), Some("false"), "{why}");
        }
        let nobody = call(&gateway, &with(|all| all["groups"] = json!(["sales"])));
        let told = nobody.refusal(403, "permission_error");
        assert!(told.contains("none of the groups belongs to a team"), "{told}");
        assert_eq!(call(&gateway, &good).head.status, 200);
        assert_eq!(upstream.seen_at("/v1/messages").len(), 1);
        let entries = entries_of(gateway);
        let refused: Vec<&Value> = entries.iter().filter(|one| one["kind"] == "refusal").collect();
        assert_eq!(refused.len(), forged.len() + 1);
        assert!(refused.iter().any(|one| one["error"].as_str().is_some_and(|text| text.contains("expired"))));
        assert!(!format!("{entries:?}").contains(signature), "no token is written down");
    });
}

#[test]
fn keys_follow_the_issuer_and_outlast_it() {
    let issuer = Issuer::start();
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = issuer.gateway(engine, &upstream);
        let old = issuer.token("RS256", |_| {});
        assert_eq!(call(&gateway, &old).head.status, 200);
        let (_, before) = issuer.counts();
        issuer.ask("/rotate", &json!({}));
        let rotated = Instant::now();
        let new = issuer.token("RS256", |_| {});
        assert_eq!(call(&gateway, &new).head.status, 200, "the first call with a new key waits for it");
        assert_eq!(issuer.counts().1, before + 1);
        assert_eq!(
            call(&gateway, &old).head.status,
            401,
            "a key that was taken back verifies nothing any more"
        );
        for number in 0..20 {
            let (kid, claims) = (format!("made-up-{number}"), issuer.claims(|_| {}));
            let wish = json!({ "alg": "RS256", "kid": kid, "claims": claims });
            assert_eq!(call(&gateway, &issuer.token_of(&wish)).head.status, 401);
        }
        let most = before + 1 + rotated.elapsed().as_secs() / 60;
        assert!(issuer.counts().1 <= most, "keys that nobody has are asked for once a minute");
        issuer.ask("/down", &json!({ "down": true }));
        gateway.signal("HUP");
        eventually("the config is read again", SOON, || gateway.log().find("reloaded").is_some());
        let another = issuer.token("ES256", |_| {});
        assert_eq!(call(&gateway, &new).head.status, 200);
        assert_eq!(call(&gateway, &another).head.status, 200, "the last good keys stay");
        issuer.ask("/down", &json!({ "down": false }));
    });
}

#[test]
fn an_issuer_that_comes_late_is_waited_for() {
    let issuer = Issuer::start();
    issuer.ask("/down", &json!({ "down": true }));
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        issuer.ask("/down", &json!({ "down": true }));
        let url = issuer.url();
        let more = format!(
            "identity: {{ issuers: [{{ issuer: \"{url}\", audience: tollgate, default_team: narrow }}] }}\n"
        );
        let gateway = Gateway::with(engine, &upstream.url(), &more);
        let token = issuer.token("ES256", |_| {});
        let reply = call(&gateway, &token);
        let told = reply.refusal(503, "overloaded_error");
        assert!(told.contains("cannot be fetched right now"), "{told}");
        assert_eq!(reply.header("x-should-retry"), None, "it is worth to come again");
        assert_eq!(once(gateway.addr(), &get("GET", "/v1/models", &[("x-api-key", KEY)])).head.status, 200);
        issuer.ask("/down", &json!({ "down": false }));
        eventually("the issuer is asked again", SOON, || call(&gateway, &token).head.status == 200);
    });
}

#[test]
fn a_revoked_person_is_out_on_every_way_in() {
    let issuer = Issuer::start();
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = issuer.gateway(engine, &upstream);
        let ana = issuer.token("ES256", |_| {});
        let bob = issuer.token("ES256", |all| {
            all["sub"] = json!("00u2");
            all["email"] = json!("bob@example.com");
            all["sid"] = json!("session-7");
        });
        assert_eq!((call(&gateway, &ana).head.status, call(&gateway, &bob).head.status), (200, 200));
        key(&gateway, &["revoke", "--user", "Ana@example.com"]);
        eventually("she is out", SOON, || call(&gateway, &ana).head.status == 401);
        let reply = call(&gateway, &ana);
        assert!(reply.refusal(401, "authentication_error").contains("ana@example.com was revoked"));
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        let again = issuer.token("RS256", |_| {});
        assert_eq!(call(&gateway, &again).head.status, 401, "also with a new token");
        assert_eq!(call(&gateway, &bob).head.status, 200);
        key(&gateway, &["revoke", "--user", "session-7"]);
        eventually("his session is out", SOON, || call(&gateway, &bob).head.status == 401);
        let other = issuer.token("ES256", |all| all["sub"] = json!("00u3"));
        key(&gateway, &["revoke", "--user", "ana@example.com", "--undo"]);
        eventually("she is in again", SOON, || call(&gateway, &other).head.status == 200);
    });
}

#[test]
fn administrators_sign_in_for_an_audience_of_their_own() {
    let issuer = Issuer::start();
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = issuer.gateway(engine, &upstream);
        let groups = |all: &mut Value| all["groups"] = json!(["pay-dev", "audit"]);
        let admin = issuer.token("ES256", |all| {
            groups(all);
            all["aud"] = json!("tollgate-admin");
        });
        let dev = issuer.token("ES256", groups);
        let look = |token: &str| {
            let bearer = format!("Bearer {token}");
            once(gateway.addr(), &get("GET", "/admin/budgets", &[("authorization", &bearer)])).head.status
        };
        assert_eq!((look(&admin), look(&dev)), (200, 403));
        assert_eq!((call(&gateway, &admin).head.status, call(&gateway, &dev).head.status), (403, 200));
    });
}

#[test]
fn the_mcp_side_says_where_to_sign_in() {
    let issuer = Issuer::start();
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        let ask = |gateway: &Gateway, key: &str| {
            let request = String::from_utf8(mcp(&body, &[])).expect("it is text");
            once(gateway.addr(), request.replace(KEY, key).as_bytes())
        };
        let metadata = |gateway: &Gateway, path: &str| {
            let path = format!("/.well-known/oauth-protected-resource{path}");
            let request = String::from_utf8(get("GET", &path, &[])).expect("it is text");
            once(gateway.addr(), request.replace("gate.test", "localhost:4000").as_bytes())
        };
        let plain = Gateway::start(engine, &upstream.url());
        assert_eq!(ask(&plain, "nobody").header("www-authenticate"), Some("Bearer realm=\"tollgate\""));
        assert_eq!(metadata(&plain, "/mcp").head.status, 404);
        let gateway = issuer.gateway(engine, &upstream);
        let reply = ask(&gateway, "nobody");
        assert_eq!(reply.head.status, 401);
        let challenge = reply.header("www-authenticate").expect("it says where to go");
        let wanted = "resource_metadata=\"http://localhost/.well-known/oauth-protected-resource/mcp\"";
        assert!(challenge.starts_with("Bearer ") && challenge.contains(wanted), "{challenge}");
        for (path, resource) in [("", ""), ("/mcp", "/mcp"), ("/t/narrow/mcp/x", "/t/narrow/mcp/x")] {
            let told = metadata(&gateway, path).json();
            assert_eq!(told["resource"], format!("http://localhost:4000{resource}"));
            assert_eq!(told["authorization_servers"], json!([issuer.url()]));
        }
        assert_eq!(metadata(&gateway, "/v1/messages").head.status, 404);
        let token = issuer.token("ES256", |_| {});
        assert_ne!(ask(&gateway, &token).head.status, 401);
    });
}

#[test]
fn claude_code_signs_in_by_its_helper() {
    let issuer = Issuer::start();
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = issuer.gateway(engine, &upstream);
        let home = Folder::new();
        home.write("token", &issuer.token("RS256", |_| {}));
        let settings = json!({ "apiKeyHelper": format!("cat {}", home.join("token").display()) });
        let mut command = claude(home.path(), &gateway.url(), "");
        command.env_remove("ANTHROPIC_AUTH_TOKEN").args(["--model", "claude-allowed"]);
        command.args(["--settings", &settings.to_string(), "--", "hi"]);
        let outcome = program::run(&mut command, Duration::from_secs(120)).succeeded();
        assert_eq!(result(&outcome.stdout)["is_error"], false, "{}", outcome.stdout);
        let calls = || gateway.log().all("call");
        let served = |one: &Value| one["key"] == "oidc:ana@example.com" && one["status"] == 200;
        eventually("her call is logged", Duration::from_secs(20), || calls().iter().any(served));
    });
}
