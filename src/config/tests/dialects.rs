//! Providers of other dialects: what holds of them, what is refused, what is shown.

use crate::config::tests::{faults, good};
use crate::llm::openai_chat::{MaxTokensField, MidSystem, SystemRole};
use crate::llm::speech::{Chat, Speech};
use crate::upstream::provider::Dialect;

const CONFIG: &str = r#"
threads: 1
providers:
  openai: { dialect: openai_chat, base_url: "https://api.openai.com/v1", key: "${env:KEY}" }
  odd:    { dialect: openai_chat, base_url: "http://127.0.0.1:1/v1beta/openai/",
            takes: { mid_system: as_user, images: false, efforts: [low, high], max_output_tokens: 8192,
                     stop_sequences: 2, max_tokens_field: max_completion_tokens } }
  like:   { dialect: openai_chat, base_url: "http://127.0.0.1:2", takes: { like: openai, caller_names: false } }
  claude: { dialect: anthropic, base_url: "http://127.0.0.1:3/v1" }
models: { "*": [openai, odd, like, claude] }
keys: [{ name: k, secret: tg_a-long-enough-secret-text }]
"#;

fn chat(speech: Option<&Speech>) -> &Chat {
    match speech {
        Some(Speech::Chat(chat)) => chat,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_is_taken_for_what_its_address_says_but_for_what_is_written() {
    let loaded = good(CONFIG, &[("KEY", "sk-secret")]);
    let snapshot = &loaded.snapshot;
    let paths: Vec<&str> = snapshot.providers.iter().map(|one| one.base_path.as_str()).collect();
    assert_eq!(paths, ["/v1", "/v1beta/openai", "/v1", ""]);
    assert!(snapshot.speech(3).is_none());
    assert_eq!(snapshot.providers[0].dialect, Dialect::OpenAiChat);
    let credential = snapshot.providers[0].credential.as_ref().unwrap();
    assert_eq!((credential.header, credential.value.expose()), ("authorization", "Bearer sk-secret"));
    let openai = chat(snapshot.speech(0));
    assert_eq!((openai.takes.system_role, openai.knows_callers), (SystemRole::Developer, true));
    let odd = chat(snapshot.speech(1));
    assert_eq!((odd.takes.system_role, odd.takes.mid_system), (SystemRole::System, MidSystem::AsUser));
    assert_eq!((odd.takes.images, odd.takes.stops_max, &*odd.efforts), (false, 2, &["low", "high"][..]));
    assert_eq!(odd.takes.max_tokens_field, MaxTokensField::MaxCompletionTokens);
    assert_eq!((odd.takes.max_tokens_max, odd.knows_callers), (Some(8192), false));
    let like = chat(snapshot.speech(2));
    assert_eq!((like.takes.system_role, like.knows_callers), (SystemRole::Developer, false));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let first = good(CONFIG, &[("KEY", "sk-secret")]);
    let shown = first.shown.to_string();
    assert!(shown.contains("takes: { mid_system: as_user, images: false, efforts: [low, high]"), "{shown}");
    let mut masks = ["${env:KEY}", "tg_a-long-enough-secret-text"].into_iter();
    let mut again = String::new();
    for (at, piece) in shown.split("***").enumerate() {
        again += if at == 0 { "" } else { masks.next().unwrap() };
        again += piece;
    }
    let second = good(&again, &[("KEY", "sk-secret")]);
    assert_eq!(chat(second.snapshot.speech(1)).takes.max_tokens_max, Some(8192));
    let changed = CONFIG.replace("images: false", "images: true");
    assert_ne!(good(&changed, &[("KEY", "sk-secret")]).snapshot.version, first.snapshot.version);
}

#[test]
fn differences_are_told_of_servers_that_have_them() {
    let provider = |rest: &str| {
        format!("providers:\n  p: {{ base_url: http://127.0.0.1:1, {rest} }}\nmodels: {{ m: [p] }}\n")
    };
    for (rest, wanted) in [
        ("dialect: anthropic, takes: { images: true }", "only a provider of `openai_chat`"),
        ("dialect: openai_chat, takes: { image: true }", "did you mean `images`?"),
        ("dialect: openai_chat, takes: { efforts: [much] }", "providers.p.takes.efforts"),
        ("dialect: openai_chat, takes: { stop_sequences: 99999 }", "providers.p.takes.stop_sequences"),
        ("dialect: openai_chat, takes: { like: gpt }", "providers.p.takes.like"),
    ] {
        let told = faults(&provider(rest), &[]);
        assert!(told.contains(wanted), "{rest}: {told}");
    }
}
