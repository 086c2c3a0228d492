//! The API of administrators, as curl and browsers meet it.

use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{get, messages, once};
use crate::gateway::{Engine, Folder, Gateway, KEY, config, for_each_engine, tollgate};
use crate::ledger::administrator;
use crate::peer::scripted_upstream;
use crate::program::{self, eventually};

const SOON: Duration = Duration::from_secs(60);

/// What curl was told.
#[derive(Debug)]
struct Told {
    status: u16,
    head: String,
    body: Value,
}

impl Told {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    fn etag(&self) -> String {
        self.header("etag").expect("it has an etag").to_owned()
    }
}

/// One request by curl; the arguments come before the address.
#[track_caller]
fn curl(gateway: &Gateway, key: Option<&str>, target: &str, args: &[&str]) -> Told {
    let mut command = Command::new("curl");
    command.args(["--http1.1", "--silent", "--show-error", "--include", "--globoff", "--noproxy", "*"]);
    if let Some(key) = key {
        command.args(["--header", &format!("Authorization: Bearer {key}")]);
    }
    command.args(args).arg(gateway.url() + target);
    let out = program::run(&mut command, SOON).succeeded().stdout;
    let (head, body) = out.split_once("\r\n\r\n").expect("a head ends");
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Told { status, head: head.to_owned(), body }
}

const JSON: &str = "Content-Type: application/json";

/// A change by curl, with further header lines.
#[track_caller]
fn change(gateway: &Gateway, key: &str, target: &str, body: &Value, lines: &[&str]) -> Told {
    let body = body.to_string();
    let mut args = vec!["--header", JSON, "--data", &body];
    lines.iter().for_each(|line| args.extend(["--header", line]));
    curl(gateway, Some(key), target, &args)
}

/// A gateway of two cores.
fn of_two_cores(engine: Engine, upstream: &str, more: &str) -> Gateway {
    let folder = Folder::new();
    let text = config(engine, upstream, more).replace("threads: 1", "threads: 2");
    folder.write("tollgate.yaml", &text);
    Gateway::run(&mut tollgate(folder.path()), folder)
}

/// The status of a model call with this key, over a connection of its own.
fn calls(gateway: &Gateway, key: &str) -> u16 {
    once(gateway.addr(), &messages(key, "claude-any", false)).head.status
}

#[test]
fn a_key_is_made_and_revoked_and_both_hold_at_once_on_every_core() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = of_two_cores(engine, &upstream.url(), "");
        let root = administrator(&gateway);
        let new = json!({ "name": "ada", "user": "ada@example.com", "models": ["claude-*"] });
        let none = change(&gateway, &root, "/admin/keys", &new, &[]);
        assert_eq!((none.status, none.header("x-should-retry")), (428, Some("false")), "{none:?}");
        assert!(none.message().contains("If-Match"), "{none:?}");

        let list = curl(&gateway, Some(&root), "/admin/keys", &[]);
        assert_eq!((list.status, list.header("cache-control")), (200, Some("no-store")));
        assert_eq!(list.body["etag"], list.etag());
        assert!(!list.body.to_string().contains("sha256"), "{}", list.body);
        let made = change(&gateway, &root, "/admin/keys", &new, &[&format!("If-Match: {}", list.etag())]);
        assert_eq!((made.status, &made.body["in_force"]), (200, &json!(true)), "{made:?}");
        let key = made.body["key"].as_str().expect("the key is shown once").to_owned();
        let on_every_core = |expected| (0..8).all(|_| calls(&gateway, &key) == expected);
        assert!(on_every_core(200), "what is answered 200 holds at once");

        // The list has moved on, and says so.
        let other = json!({ "name": "bob" });
        let stale = change(&gateway, &root, "/admin/keys", &other, &[&format!("If-Match: {}", list.etag())]);
        assert_eq!(stale.status, 412, "{stale:?}");
        let now = curl(&gateway, Some(&root), "/admin/keys", &[]);
        assert_eq!(stale.etag(), now.etag());
        // A name that is taken.
        let taken = change(&gateway, &root, "/admin/keys", &new, &["If-None-Match: *"]);
        assert_eq!(taken.status, 412, "{taken:?}");
        let taken = change(&gateway, &root, "/admin/keys", &new, &[&format!("If-Match: {}", now.etag())]);
        assert_eq!(taken.status, 409, "{taken:?}");

        let revoke = "/admin/keys/ada/revoke";
        let wrong = change(&gateway, &root, revoke, &json!({}), &["If-Match: \"0\""]);
        assert_eq!((wrong.status, wrong.etag()), (412, made.etag()));
        let gone = change(&gateway, &root, revoke, &json!({}), &[&format!("If-Match: {}", made.etag())]);
        assert_eq!((gone.status, &gone.body["state"]), (200, &json!("revoked")), "{gone:?}");
        assert!(on_every_core(401), "what is answered 200 holds at once");
        let again = change(&gateway, &root, revoke, &json!({}), &[&format!("If-Match: {}", gone.etag())]);
        assert_eq!(again.status, 409, "{again:?}");

        let args = ["ledger", "search", "kind:admin ada", "--json"];
        let mut seen = String::new();
        eventually("the changes are in the ledger", SOON, || {
            seen = program::run(tollgate(gateway.folder().path()).args(args), SOON).succeeded().stdout;
            seen.contains("revoke key ada: {")
        });
        for wanted in [r"create key ada: null -> {", r"ada@example.com", r"-> {", r"revoked", "root"] {
            assert!(seen.contains(wanted), "{wanted} is not in {seen}");
        }
        assert!(!seen.contains(&key) && !gateway.log().text().contains(&key), "the key itself is nowhere");
    });
}

#[test]
fn of_two_who_change_the_same_state_exactly_one_wins() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = of_two_cores(engine, &upstream.url(), "");
        let root = administrator(&gateway);
        for round in 0..2 {
            let list = curl(&gateway, Some(&root), "/admin/keys", &[]).etag();
            let line = format!("If-Match: {list}");
            let race = |name: String, start: &Barrier| {
                start.wait();
                change(&gateway, &root, "/admin/keys", &json!({ "name": name }), &[&line]).status
            };
            let start = Barrier::new(2);
            let mut statuses = thread::scope(|scope| {
                let one = scope.spawn(|| race(format!("one{round}"), &start));
                let two = scope.spawn(|| race(format!("two{round}"), &start));
                [one, two].map(|racer| racer.join().expect("a racer does not panic"))
            });
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 412]);
            let keys = curl(&gateway, Some(&root), "/admin/keys", &[]).body["keys"].clone();
            let ours = keys.as_array().expect("a list").iter();
            let ours = ours
                .filter(|key| key["name"].as_str().is_some_and(|name| name.ends_with(&round.to_string())));
            assert_eq!(ours.count(), 1, "{keys}");
        }
    });
}

#[test]
fn nobody_comes_in_without_a_key_and_no_page_of_others_with_one() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        // What may call the MCP side from a page may not come in here.
        let more = "mcp: { allowed_origins: [\"http://tool.example.com\"] }";
        let gateway = Gateway::with(engine, &upstream.url(), more);
        let root = administrator(&gateway);
        for target in ["/admin/openapi.json", "/admin/whoami", "/admin/keys", "/admin/nothing"] {
            let none = curl(&gateway, None, target, &[]);
            assert_eq!(
                (none.status, none.header("x-should-retry")),
                (401, Some("false")),
                "{target} {none:?}"
            );
            assert!(none.message().contains("tollgate key create --admin"), "{none:?}");
            assert_eq!(curl(&gateway, Some(KEY), target, &[]).status, 403, "{target}");
        }
        let own = format!("Origin: {}", gateway.url());
        assert_eq!(curl(&gateway, Some(&root), "/admin/whoami", &["--header", &own]).status, 200);
        let form = json!({ "name": "eve" }).to_string();
        let attempts: &[(&[&str], u16)] = &[
            // A form of another page, and a script that may not set more than a form can.
            (&["--header", "Content-Type: text/plain", "--data", &form], 415),
            (&["--data", &form], 415),
            (&["--header", JSON, "--data", &form, "--header", "Origin: http://evil.example.com"], 403),
            (&["--header", JSON, "--data", &form, "--header", "Origin: http://tool.example.com"], 403),
            (&["--header", JSON, "--data", &form, "--header", "Origin: null"], 403),
            (&["--header", JSON, "--data", &form, "--header", "Sec-Fetch-Site: cross-site"], 403),
            // DNS rebinding.
            (
                &[
                    "--header",
                    JSON,
                    "--data",
                    &form,
                    "--header",
                    "Origin: http://evil.test",
                    "--header",
                    "Host: evil.test",
                ],
                403,
            ),
            // A browser asks first, and gets no leave.
            (&["--request", "OPTIONS", "--header", "Access-Control-Request-Method: POST"], 405),
            (&["--header", JSON, "--data", "{\"name\":\"eve\",\"rule\":\"owner\"}"], 400),
            (&["--header", JSON, "--data", "{\"name\":\"eve\",\"role\":\"king\"}"], 400),
            (&["--header", JSON, "--data", "{\"name\":\"eve\",\"service\":true}"], 400),
        ];
        for (args, expected) in attempts {
            let mut args = args.to_vec();
            args.extend(["--header", "If-None-Match: *"]);
            let told = curl(&gateway, Some(&root), "/admin/keys", &args);
            assert_eq!(told.status, *expected, "{args:?} {told:?}");
            assert!(!told.head.to_ascii_lowercase().contains("access-control-"), "{told:?}");
        }
        let keys = curl(&gateway, Some(&root), "/admin/keys", &[]);
        assert!(!keys.body.to_string().contains("eve"), "{}", keys.body);
        let large = "x".repeat(3 * 1024 * 1024);
        let folder = gateway.folder();
        folder.write("large.json", &json!({ "yaml": large }).to_string());
        let data = format!("@{}", folder.join("large.json").display());
        let told = curl(&gateway, Some(&root), "/admin/config/check", &["--header", JSON, "--data", &data]);
        assert_eq!(told.status, 413, "{told:?}");
    });
}

#[test]
fn changes_have_a_pace() {
    let upstream = scripted_upstream::plain();
    let gateway = Gateway::start(Engine::Epoll, &upstream.url());
    let root = administrator(&gateway);
    // One after the other, and still faster than two a second on whatever machine.
    let request = crate::client::post("/admin/keys", &root, &[("If-Match", "\"0\"")], b"{\"name\":\"a\"}");
    let replies: Vec<_> = (0..60).map(|_| once(gateway.addr(), &request)).collect();
    let slow = replies.iter().find(|reply| reply.head.status == 429).expect("one is too many");
    assert!(slow.header("retry-after").is_some_and(|text| text.parse::<u64>().is_ok_and(|s| s > 0)));
    let passed = replies.iter().filter(|reply| reply.head.status == 412).count();
    assert!(passed >= 10, "{passed} of a burst of ten passed");
    // Looks are another matter.
    assert_eq!(once(gateway.addr(), &get("GET", "/admin/whoami", &[("x-api-key", &root)])).head.status, 200);
}

#[test]
fn another_config_is_looked_at_and_nothing_changes() {
    let upstream = scripted_upstream::plain();
    let engine = Engine::Epoll;
    let gateway = Gateway::start(engine, &upstream.url());
    let root = administrator(&gateway);
    let check = |yaml: &str| {
        let told = change(&gateway, &root, "/admin/config/check", &json!({ "yaml": yaml }), &[]);
        assert_eq!(told.status, 200, "{told:?}");
        told.body
    };
    let shown = curl(&gateway, Some(&root), "/admin/config", &[]);
    assert_eq!(shown.header("etag"), Some(format!("{}", shown.body["version"]).as_str()));
    assert!(!shown.body.to_string().contains(KEY), "secrets are masked");
    let text = config(engine, &upstream.url(), "");
    let same = check(&text);
    assert_eq!((&same["ok"], &same["changes"]), (&json!(true), &json!([])), "{same}");
    assert_eq!(same["version"], shown.body["version"]);
    let other = check(&text.replace("claude-allowed*", "claude-other*"));
    // With other rules the policy is another version.
    let paths: Vec<_> =
        other["changes"].as_array().expect("changes").iter().map(|one| &one["path"]).collect();
    assert_eq!(paths, [&json!("policy.version"), &json!("teams.narrow.models")], "{other}");
    let wrong = check("listen: nowhere\nmodles: {}\n");
    assert_eq!(wrong["ok"], false);
    let lines: Vec<_> =
        wrong["faults"].as_array().expect("faults").iter().map(|fault| &fault["line"]).collect();
    assert!(lines.contains(&&json!(1)) && lines.contains(&&json!(2)), "{wrong}");
    // Files that the config in force does not name stay closed, whatever a text asks for.
    gateway.folder().write("secret.txt", "not-to-be-seen");
    for line in [
        "ca_file: ./secret.txt",
        "prices: { file: ./secret.txt }",
        "policy: { files: [./secret.txt] }",
        "pinning: { lock: ./secret.txt }",
        "mcp_servers: { x: { openapi: ./secret.txt } }",
    ] {
        let told = check(&format!("{text}{line}\n")).to_string();
        assert!(told.contains("reads no files but those") && !told.contains("not-to-be-seen"), "{told}");
    }
    let told = check(
        &text.replace("up: { dialect: anthropic,", "up: { dialect: anthropic, proxy: \"${env:HOME}\","),
    );
    assert!(!told.to_string().contains(&*gateway.folder().path().to_string_lossy()), "{told}");
    assert_eq!(curl(&gateway, Some(&root), "/admin/config", &[]).body, shown.body);
}

#[test]
fn what_rules_say_is_what_calls_meet() {
    let upstream = scripted_upstream::plain();
    let gateway = Gateway::start(Engine::Epoll, &upstream.url());
    let root = administrator(&gateway);
    let explain = |query: &str| curl(&gateway, Some(&root), &format!("/admin/policy/explain?{query}"), &[]);
    let yes = explain("key=narrow&model=claude-allowed-1");
    assert_eq!((yes.status, &yes.body["allowed"]), (200, &json!(true)), "{yes:?}");
    assert!(yes.body["why"].as_str().is_some_and(|why| why.contains("claude-allowed*")), "{yes:?}");
    let no = explain("key=narrow&model=claude-other");
    assert_eq!(no.body["allowed"], false, "{no:?}");
    let met = once(gateway.addr(), &messages(crate::gateway::NARROW_KEY, "claude-other", false));
    assert_eq!(met.json()["error"]["message"], no.body["why"]);
    let none = explain("key=main&call=github.merge");
    assert_eq!(none.body["allowed"], false, "{none:?}");
    assert!(none.body["why"].as_str().is_some_and(|why| why.contains("no MCP server")), "{none:?}");
    assert_eq!(explain("key=nobody&model=x").status, 404);
    assert_eq!(explain("key=main").status, 400);
    assert_eq!(explain("key=main&modle=x").status, 400);
}

#[test]
fn every_operation_of_the_document_can_be_called() {
    let upstream = scripted_upstream::plain();
    let gateway = Gateway::start(Engine::Epoll, &upstream.url());
    let root = administrator(&gateway);
    let document = curl(&gateway, Some(&root), "/admin/openapi.json", &[]).body;
    assert_eq!(document["openapi"], "3.1.0");
    let mut called = 0;
    let paths = document["paths"].as_object().expect("paths");
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            // Named as a key that is there, whose state is known.
            let keys = curl(&gateway, Some(&root), "/admin/keys", &[]).body;
            let rows = keys["keys"].as_array().expect("keys").clone();
            let victim = rows.iter().find(|key| key["name"] == "example");
            if path.contains("{name}") && victim.is_none() {
                let made = change(
                    &gateway,
                    &root,
                    "/admin/keys",
                    &json!({ "name": "example" }),
                    &["If-None-Match: *"],
                );
                assert_eq!(made.status, 200, "{made:?}");
            }
            let keys = curl(&gateway, Some(&root), "/admin/keys", &[]).body;
            let rows = keys["keys"].as_array().expect("keys").clone();
            // The newest of its secrets.
            let example = rows.iter().rfind(|key| key["name"] == "example");
            if path.starts_with("/admin/tools/") {
                // Nothing waits for a decision here; those are made in `mcp_pins`.
                continue;
            }
            let parameters = operation["parameters"].as_array().expect("parameters");
            let query: Vec<String> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "query" && parameter["example"].is_string())
                .map(|parameter| {
                    let example = parameter["example"].as_str().expect("a text").replace("{key}", "main");
                    format!("{}={example}", parameter["name"].as_str().expect("a name"))
                })
                .collect();
            let target = format!("{}?{}", path.replace("{name}", "example"), query.join("&"));
            let told = if method == "get" {
                curl(&gateway, Some(&root), &target, &[])
            } else {
                let content = &operation["requestBody"]["content"]["application/json"];
                let etag = match example {
                    Some(key) if path.contains("{name}") => &key["etag"],
                    _ => &keys["etag"],
                };
                let line = format!("If-Match: {}", etag.as_str().expect("an etag"));
                change(&gateway, &root, &target, &content["example"], &[&line])
            };
            let answer = &operation["responses"][told.status.to_string()];
            assert!((200..300).contains(&told.status), "{method} {target}: {told:?}");
            let schema = &answer["content"]["application/json"]["schema"];
            for name in schema["required"].as_array().expect("the answer is described") {
                let name = name.as_str().expect("a name");
                assert!(!told.body[name].is_null(), "{method} {target} has no {name}: {}", told.body);
            }
            called += 1;
        }
    }
    assert!(called >= 11, "{called} operations were called");
}

#[test]
fn a_key_is_rotated_by_whom_may_and_only_as_it_was_seen() {
    let upstream = scripted_upstream::plain();
    let gateway = Gateway::start(Engine::Epoll, &upstream.url());
    let root = administrator(&gateway);
    let make = |body: Value| change(&gateway, &root, "/admin/keys", &body, &["If-None-Match: *"]);
    let old = make(json!({ "name": "job", "service": true, "expires": "1h", "models": ["claude-any"] }));
    assert_eq!(old.status, 200, "{old:?}");
    let operator = make(json!({ "name": "ops", "role": "operator" }));
    let operator = operator.body["key"].as_str().expect("a key").to_owned();
    let etag = |name: &str| {
        let keys = curl(&gateway, Some(&root), "/admin/keys", &[]).body;
        let rows = keys["keys"].as_array().expect("keys").clone();
        let row = rows.iter().rfind(|key| key["name"] == name).expect("the key").clone();
        row["etag"].as_str().expect("a tag").to_owned()
    };
    let rotate = |who: &str, name: &str, tag: &str, body: Value| {
        let condition = format!("If-Match: {tag}");
        change(&gateway, who, &format!("/admin/keys/{name}/rotate"), &body, &[&condition])
    };
    assert_eq!(rotate(&operator, "job", "\"0\"", json!({})).status, 412);
    assert_eq!(rotate(&operator, "job", &etag("job"), json!({ "overlap": "soon" })).status, 400);
    let new = rotate(&operator, "job", &etag("job"), json!({ "overlap": "0s" }));
    assert_eq!((new.status, &new.body["in_force"]), (200, &json!(true)), "{new:?}");
    let met = |key: &Value| {
        let key = key.as_str().expect("a key");
        once(gateway.addr(), &messages(key, "claude-any", false)).head.status
    };
    assert_eq!((met(&old.body["key"]), met(&new.body["key"])), (401, 200));
    // What opens /admin is an owner's matter.
    assert_eq!(rotate(&operator, "ops", &etag("ops"), json!({})).status, 403);
    let told = change(
        &gateway,
        &operator,
        "/admin/keys/ops/revoke",
        &json!({}),
        &[&format!("If-Match: {}", etag("ops"))],
    );
    assert_eq!(told.status, 403, "{told:?}");
    let told = change(
        &gateway,
        &operator,
        "/admin/keys",
        &json!({ "name": "king", "role": "owner" }),
        &["If-None-Match: *"],
    );
    assert_eq!(told.status, 403, "{told:?}");
    assert_eq!(rotate(&root, "ops", &etag("ops"), json!({})).status, 200);
}

#[test]
fn a_key_is_made_for_some_regions_alone() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = of_two_cores(engine, &upstream.url(), "");
        let root = administrator(&gateway);
        let make = |regions: Value| {
            let new = json!({ "name": "lab", "regions": regions });
            change(&gateway, &root, "/admin/keys", &new, &["If-None-Match: *"])
        };
        for (wrong, says) in
            [(json!(["EU"]), "\"EU\" is no region"), (json!([]), "leave it out for no limit")]
        {
            let refused = make(wrong);
            assert!(refused.status == 400 && refused.message().contains(says), "{refused:?}");
        }
        let made = make(json!(["eu", "eu-*"]));
        assert_eq!(made.status, 200, "{made:?}");
        let key = made.body["key"].as_str().expect("the key is shown once").to_owned();
        // Where the provider is nobody knows, so it is none of these regions.
        assert_eq!((calls(&gateway, &key), calls(&gateway, KEY)), (451, 200));
        let list = curl(&gateway, Some(&root), "/admin/keys", &[]).body;
        let lab = list["keys"].as_array().expect("keys").iter().find(|one| one["name"] == "lab");
        assert_eq!(lab.expect("it is listed")["regions"], json!(["eu", "eu-*"]));
        let main = list["keys"].as_array().expect("keys").iter().find(|one| one["name"] == "main");
        assert_eq!(main.expect("it is listed")["origin"], "config");
    });
}

#[test]
fn what_people_put_secrets_into_is_not_shown() {
    let upstream = scripted_upstream::plain();
    let servers = "mcp_servers:\n  \
        files: { command: /bin/false, args: [\"--token=plain-secret\", plain-secret] }\n  \
        web: { url: \"http://127.0.0.1:9/hook/plain-secret/mcp\", era: modern }\n";
    let gateway = Gateway::with(Engine::Epoll, &upstream.url(), servers);
    let root = administrator(&gateway);
    let shown = curl(&gateway, Some(&root), "/admin/config", &[]).body;
    assert!(!shown.to_string().contains("plain-secret"), "{shown}");
    assert_eq!(shown["mcp_servers"][0]["args"], json!(["--token=***", "***"]));
    assert_eq!(shown["mcp_servers"][1]["url"], "http://127.0.0.1:9/***");
    let yaml = std::fs::read_to_string(gateway.folder().join("tollgate.yaml")).expect("it has a config");
    let yaml = yaml.replace("hook/plain-secret", "other").replace("[\"--token=plain-secret\", ", "[");
    let told = change(&gateway, &root, "/admin/config/check", &json!({ "yaml": yaml }), &[]).body;
    assert!(!told.to_string().contains("plain-secret"), "{told}");
    let paths: Vec<&str> =
        told["changes"].as_array().expect("changes").iter().filter_map(|one| one["path"].as_str()).collect();
    assert_eq!(paths, ["mcp_servers.files.args", "mcp_servers.web.url"], "that they change is told: {told}");
}
