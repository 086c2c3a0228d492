//! Credentials that end: fetched from what stands beside a machine, renewed ahead of their end, kept while
//! nobody hands out new ones.

use std::fs;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::client::{Client, Reply, messages, once};
use crate::gateway::{Folder, Gateway, KEY, tollgate};
use crate::peer::{Peer, Seen, hands_out_credentials, speaks_bedrock, speaks_chat, speaks_vertex};
use crate::program::eventually;

/// How long a test waits for something that takes seconds on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// A gateway with these providers, a model `claude-NAME` for each.
fn run(providers: &[(&str, String)], variables: impl FnOnce(&mut Command, &Folder)) -> Gateway {
    let folder = Folder::new();
    let mut config = "listen: 127.0.0.1:0\ndata_dir: ./data\nthreads: 1\nproviders:\n".to_owned();
    for (name, provider) in providers {
        config += &format!("  {name}: {{ {provider} }}\n");
    }
    config += "models:\n";
    for (name, _) in providers {
        config += &format!("  claude-{name}: [{{ provider: {name}, model: claude-far-1 }}]\n");
    }
    config += &format!("keys:\n  - {{ name: main, secret: {KEY} }}\n");
    folder.write("tollgate.yaml", &config);
    let mut serve = tollgate(folder.path());
    serve.arg("serve").env("AWS_EC2_METADATA_DISABLED", "true");
    variables(&mut serve, &folder);
    Gateway::run(&mut serve, folder)
}

fn bedrock(upstream: &Peer) -> String {
    format!("dialect: bedrock, aws_region: eu-central-1, base_url: \"{}\", aws: default", upstream.url())
}

fn vertex(upstream: &Peer) -> String {
    let place = "project: proj-1, location: europe-west1";
    format!("dialect: vertex, {place}, base_url: \"{}\", gcp: default", upstream.url())
}

fn ask(gateway: &Gateway, model: &str) -> Reply {
    once(gateway.addr(), &messages(KEY, model, false))
}

/// The last request that a provider has seen.
fn last(upstream: &Peer) -> Seen {
    upstream.seen().pop().expect("it was asked")
}

fn signed_with(upstream: &Peer) -> (String, String) {
    let seen = last(upstream);
    let (_, rest) = seen.header("authorization").and_then(|it| it.split_once("Credential=")).expect("signed");
    let id = rest.split('/').next().unwrap_or_default().to_owned();
    (id, seen.header("x-amz-security-token").unwrap_or_default().to_owned())
}

fn of_round(number: usize) -> (String, String) {
    (format!("ASIAROUND{number}"), format!("token-{number}"))
}

#[test]
fn keys_and_tokens_are_renewed_ahead_of_their_end_and_kept_until_it() {
    let (beds, vers) = (speaks_bedrock::start(Vec::new()), vertex_of_any_token());
    let (instance, keys) = hands_out_credentials::start(24);
    let (metadata, tokens) = hands_out_credentials::start(24);
    let gateway = run(&[("bed", bedrock(&beds)), ("ver", vertex(&vers))], |serve, _| {
        serve.env_remove("AWS_EC2_METADATA_DISABLED");
        serve.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.url());
        serve.env("GCE_METADATA_HOST", metadata.addr().to_string());
    });
    let shown = |number: usize| {
        for model in ["claude-bed", "claude-ver"] {
            let reply = ask(&gateway, model);
            assert_eq!(reply.head.status, 200, "{reply:?}");
        }
        assert_eq!(signed_with(&beds), of_round(number));
        let token = format!("Bearer ya29.round-{number}");
        assert_eq!(last(&vers).header("authorization"), Some(token.as_str()));
    };
    let here = |count: usize| {
        eventually("they are here", DEADLINE, || gateway.log().all("credentials are here").len() >= count);
    };
    shown(1);
    for till in [&keys, &tokens] {
        let (first, second) = (till.round(1), till.round(2));
        assert!(second.at < first.until, "they come ahead of the end: {first:?} {second:?}");
    }
    here(4);
    shown(2);

    for till in [&keys, &tokens] {
        till.shut.store(true, Ordering::SeqCst);
    }
    keys.refuses();
    tokens.refuses();
    shown(2);
    let ended = "credentials have ended, calls that need them are refused";
    eventually("they end", DEADLINE, || gateway.log().all(ended).len() == 2);
    let asked = (beds.seen().len(), vers.seen().len());
    for (model, label) in [("claude-bed", "(aws: default)"), ("claude-ver", "(gcp: default)")] {
        let reply = ask(&gateway, model);
        reply.refusal(503, "overloaded_error");
        assert!(
            reply.text().contains("no credentials for provider") && reply.text().contains(label),
            "{reply:?}"
        );
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
    }
    assert_eq!((beds.seen().len(), vers.seen().len()), asked, "nothing is sent without them");
    for till in [&keys, &tokens] {
        till.shut.store(false, Ordering::SeqCst);
    }
    here(6);
    shown(3);
    let log = gateway.log().text();
    for secret in ["ASIAROUND", "secret-", "token-", "ya29", "SECRET"] {
        assert!(!log.contains(secret), "{secret} stands in the log: {log}");
    }
}

/// Vertex AI, whatever token is shown.
fn vertex_of_any_token() -> Peer {
    Peer::start(|seen, exchange| {
        assert!(seen.path().starts_with(speaks_vertex::MODELS));
        let reply = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],
            "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
        exchange.answer(200, &[("Content-Type", "application/json")], reply.as_bytes())?;
        Ok(crate::peer::After::KeepOpen)
    })
}

#[test]
fn the_first_call_waits_for_the_first_keys_and_nobody_waits_in_vain() {
    let upstream = speaks_bedrock::start(Vec::new());
    let (instance, keys) = hands_out_credentials::start(3600);
    let held = keys.hold.lock().expect("nobody panics");
    let gateway = run(&[("bed", bedrock(&upstream))], |serve, _| {
        serve.env_remove("AWS_EC2_METADATA_DISABLED");
        serve.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.url());
    });
    let mut client = Client::connect(gateway.addr());
    eventually("the instance is asked", DEADLINE, || !instance.seen().is_empty());
    client.send(&messages(KEY, "claude-bed", false));
    drop(held);
    let head = client.head();
    assert_eq!(head.status, 200, "{head:?}");
    assert_eq!(signed_with(&upstream), of_round(1));

    // Where nobody listens the first answer is that there are none.
    let nobody = run(&[("bed", bedrock(&upstream))], |serve, _| {
        serve.env_remove("AWS_EC2_METADATA_DISABLED");
        serve.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9");
    });
    ask(&nobody, "claude-bed").refusal(503, "overloaded_error");
    let text = "credentials cannot be fetched, and are tried again";
    eventually("it is told", DEADLINE, || nobody.log().find(text).is_some());
    let told = nobody.log().find(text).expect("it is told");
    assert_eq!(told["credentials"], "aws: default");
    assert!(told["error"].as_str().is_some_and(|text| text.starts_with("instance metadata: ")), "{told}");
}

#[test]
fn a_role_is_taken_with_the_token_that_stands_in_the_file_now() {
    let upstream = speaks_bedrock::start(Vec::new());
    let (sts, keys) = hands_out_credentials::start(4);
    let gateway = run(&[("bed", bedrock(&upstream))], |serve, folder| {
        folder.write("token", "ey.first\n");
        serve.env("AWS_WEB_IDENTITY_TOKEN_FILE", folder.join("token"));
        serve.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/tollgate");
        serve.env("AWS_ENDPOINT_URL_STS", sts.url());
    });
    assert_eq!(ask(&gateway, "claude-bed").head.status, 200);
    let first = sts.seen().remove(0);
    let form = String::from_utf8_lossy(&first.body).into_owned();
    let arn = "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Ftollgate";
    for field in ["Action=AssumeRoleWithWebIdentity", "Version=2011-06-15", arn, "WebIdentityToken=ey.first"]
    {
        assert!(form.split('&').any(|one| one == field), "{field}: {form}");
    }
    assert_eq!(first.header("content-type"), Some("application/x-www-form-urlencoded"));
    fs::write(gateway.folder().join("token"), "ey.second").expect("the folder can be written");
    eventually("the new token is used", DEADLINE, || {
        String::from_utf8_lossy(&sts.seen().pop().expect("it was asked").body).contains("=ey.second")
    });
    let second = keys.round(2);
    assert!(second.until > second.at);
}

#[test]
fn a_managed_identity_shows_its_token_to_azure() {
    let upstream = speaks_chat::start(Vec::new());
    let (machine, _) = hands_out_credentials::start(3600);
    let provider = format!("dialect: openai_chat, base_url: \"{}/v1\"", upstream.url());
    let provider = format!("{provider}, azure: {{ client_id: id-1 }}");
    let gateway = run(&[("far", provider)], |serve, _| {
        serve.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", machine.url());
    });
    let reply = ask(&gateway, "claude-far");
    assert_eq!(reply.head.status, 200, "{reply:?}");
    let seen = last(&upstream);
    assert_eq!(seen.header("authorization"), Some("Bearer entra-1"));
    assert_eq!(seen.path(), "/v1/chat/completions");
    let asked = last(&machine);
    assert!(
        asked.target.ends_with("&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=id-1"),
        "{asked:?}"
    );
}
