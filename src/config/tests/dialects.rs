//! Providers of other dialects: what holds of them, what is refused, what is shown.

use crate::config::tests::{faults, good};
use crate::llm::gemini::{self, Thinking};
use crate::llm::openai_chat::{CacheMarks, MaxTokensField, MidSystem, SystemRole};
use crate::llm::speech::{Chat, Gemini, Responses, Speech};
use crate::upstream::provider::Dialect;

const CONFIG: &str = r#"
threads: 1
providers:
  openai: { dialect: openai_chat, base_url: "https://api.openai.com/v1", key: "${env:KEY}" }
  odd:    { dialect: openai_chat, base_url: "http://127.0.0.1:1/v1beta/openai/",
            takes: { mid_system: as_user, images: false, efforts: [low, high], max_output_tokens: 8192,
                     stop_sequences: 2, max_tokens_field: max_completion_tokens } }
  like:   { dialect: openai_chat, base_url: "http://127.0.0.1:2",
            takes: { like: openai, caller_names: false } }
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
        (
            "dialect: anthropic, takes: { images: true }",
            "only a provider of another dialect than Anthropic's own",
        ),
        ("dialect: openai_chat, takes: { image: true }", "did you mean `images`?"),
        ("dialect: openai_chat, takes: { efforts: [much] }", "providers.p.takes.efforts"),
        ("dialect: openai_chat, takes: { stop_sequences: 99999 }", "providers.p.takes.stop_sequences"),
        ("dialect: anthropic_lenient, takes: { like: openai }", "providers.p.takes"),
        ("dialect: openai_chat, takes: { like: gpt }", "providers.p.takes.like"),
        ("dialect: openai_chat, takes: { compaction: true }", "unknown key \"compaction\""),
        ("dialect: openai_responses, takes: { stop_sequences: 1 }", "unknown key \"stop_sequences\""),
        ("dialect: openai_responses, takes: { summary: long }", "auto, concise, detailed, none"),
        (
            "dialect: bedrock_converse, aws_region: eu-west-1, key: k, takes: { summary: none }",
            "unknown key \"summary\"",
        ),
        (
            "dialect: bedrock_converse, aws_region: eu-west-1, key: k, takes: { efforts: [much] }",
            "providers.p.takes.efforts",
        ),
        ("dialect: gemini, takes: { caller_names: true }", "unknown key \"caller_names\""),
        ("dialect: gemini, takes: { like: openai }", "gemini_3, gemini_2"),
        ("dialect: gemini, takes: { efforts: [max] }", "providers.p.takes.efforts"),
        ("dialect: gemini, takes: { efforts: [low], thinking_max: 9 }", "keep one of them"),
        ("dialect: gemini, takes: { thinking_off: false }", "`thinking_max` is missing"),
        ("dialect: gemini, auth: basic", "x-api-key, bearer, x-goog-api-key, api-key"),
    ] {
        let told = faults(&provider(rest), &[]);
        assert!(told.contains(wanted), "{rest}: {told}");
    }
}

#[test]
fn a_server_of_messages_is_taken_for_what_is_written() {
    let config = "providers:\n  \
         plain: { dialect: anthropic_lenient, base_url: http://127.0.0.1:1/v1, key: sk-secret }\n  \
         odd: { dialect: anthropic_lenient, base_url: http://127.0.0.1:2/x,\n    \
           takes: { thinking: false, tools: 7, cache_marks: breakpoints } }\nmodels: { m: [plain, odd] }\n";
    let loaded = good(config, &[]);
    let snapshot = &loaded.snapshot;
    let takes = |at| match snapshot.speech(at) {
        Some(Speech::Lenient(takes)) => (takes.thinking, takes.tools_max, takes.cache_marks),
        _ => panic!("it does not speak as callers do"),
    };
    assert_eq!(takes(0), (true, crate::limits::TOOLS_MAX, CacheMarks::Automatic));
    assert_eq!(takes(1), (false, 7, CacheMarks::Breakpoints));
    let paths: Vec<&str> = snapshot.providers.iter().map(|one| one.base_path.as_str()).collect();
    assert_eq!(paths, ["", "/x"]);
    assert_eq!(snapshot.providers[0].credential.as_ref().unwrap().header, "x-api-key");
    let shown = loaded.shown.to_string();
    assert!(shown.contains("dialect: anthropic_lenient") && shown.contains("takes: { thinking: false"));
}

#[test]
fn a_provider_of_converse_is_taken_for_what_is_written_of_all_its_models() {
    let region = "dialect: bedrock_converse, aws_region: eu-west-1, key: k, base_url: http://127.0.0.1:1";
    let all = "images: false, files: true, result_media: true, mid_system: in_place, \
               cache_marks: breakpoints, max_output_tokens: 77, stop_sequences: 3, sampling: false, \
               efforts: [low, high], json_schema: true, named_choice: false, \
               strict_tools: true, reasoning_back: true, unknown_fields: drop";
    let config = format!(
        "providers:\n  plain: {{ {region} }}\n  odd: {{ {region}, takes: {{ {all} }} }}\n\
         models: {{ m: [plain, odd] }}\n"
    );
    let loaded = good(&config, &[]);
    let converse = |at| match loaded.snapshot.speech(at) {
        Some(Speech::Converse(converse)) => converse,
        other => panic!("{other:?}"),
    };
    let plain = converse(0);
    assert_eq!((plain.nova.images, plain.others.images, plain.efforts.len()), (true, false, 0));
    assert_eq!((plain.nova.cache_points, plain.others.cache_points), (true, false));
    assert_eq!((plain.nova.top_k, plain.others.top_k), (Some("topK"), None));
    let odd = converse(1);
    assert_eq!(&*odd.efforts, ["low", "high"]);
    for takes in [&odd.nova, &odd.others] {
        assert_eq!((takes.images, takes.files, takes.files_in_results), (false, true, true));
        assert_eq!((takes.system_in_place, takes.cache_points, takes.drop_unknown), (true, true, true));
        assert_eq!((takes.max_tokens_max, takes.stops_max), (Some(77), 3));
        assert_eq!((takes.sampling, takes.json_schema, takes.forced_choice), (false, true, false));
        assert_eq!((takes.strict_tools, takes.reasoning_back), (true, true));
    }
    let shown = loaded.shown.to_string();
    assert!(
        shown.contains("dialect: bedrock_converse") && shown.contains("max_output_tokens: 77"),
        "{shown}"
    );
}

const OTHERS: &str = r#"
threads: 1
providers:
  openai: { dialect: openai_responses, base_url: "https://api.openai.com/v1", key: "${env:KEY}" }
  azure:  { dialect: openai_responses, base_url: "https://x.openai.azure.com/openai/v1/", key: "${env:KEY}",
            auth: api-key, takes: { summary: none, efforts: [low], caller_names: false } }
  local:  { dialect: openai_responses, base_url: "http://127.0.0.1:2", takes: { encrypted_reasoning: true } }
  google: { dialect: gemini, base_url: "https://generativelanguage.googleapis.com", key: "${env:KEY}" }
  older:  { dialect: gemini, base_url: "http://127.0.0.1:3/v1beta/", auth: bearer, key: "${env:KEY}",
            takes: { like: gemini_2, thinking_max: 9000, web_search: false } }
  never:  { dialect: gemini, base_url: "http://127.0.0.1:3/v1", takes: { efforts: [], tools: 9 } }
models: { "*": [openai, azure, local, google, older, never] }
keys: [{ name: k, secret: tg_a-long-enough-secret-text }]
"#;

fn responses(speech: Option<&Speech>) -> &Responses {
    match speech {
        Some(Speech::Responses(responses)) => responses,
        other => panic!("{other:?}"),
    }
}

fn google(speech: Option<&Speech>) -> &Gemini {
    match speech {
        Some(Speech::Gemini(gemini)) => gemini,
        other => panic!("{other:?}"),
    }
}

#[test]
fn providers_of_other_vendors_are_known_by_their_addresses() {
    let loaded = good(OTHERS, &[("KEY", "sk-secret")]);
    let snapshot = &loaded.snapshot;
    let paths: Vec<&str> = snapshot.providers.iter().map(|one| one.base_path.as_str()).collect();
    assert_eq!(paths, ["/v1", "/openai/v1", "/v1", "/v1beta", "/v1beta", "/v1"]);
    let header = |one: &std::sync::Arc<crate::upstream::provider::Provider>| {
        one.credential.as_ref().map_or("", |credential| credential.header)
    };
    let headers: Vec<&str> = snapshot.providers.iter().map(header).collect();
    assert_eq!(headers, ["authorization", "api-key", "", "x-goog-api-key", "authorization", ""]);

    let openai = responses(snapshot.speech(0));
    assert_eq!((&*openai.origin, openai.knows_callers), ("openai-responses-openai", true));
    assert!(openai.takes.encrypted_reasoning && openai.takes.compaction && openai.efforts.len() > 3);
    let azure = responses(snapshot.speech(1));
    assert_eq!((azure.takes.summary, &*azure.efforts), (None, &["low"][..]));
    assert!(azure.takes.encrypted_reasoning && !azure.knows_callers);
    assert_ne!(azure.origin, openai.origin, "what one has encrypted no other one can read");
    let local = responses(snapshot.speech(2));
    assert!(local.takes.encrypted_reasoning && !local.takes.compaction && local.efforts.is_empty());

    let shown = loaded.shown.to_string();
    for part in ["dialect: openai_responses", "auth: api-key", "auth: x-goog-api-key", "{ like: gemini_2,"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn what_a_gemini_takes_is_known_by_its_name() {
    let loaded = good(OTHERS, &[("KEY", "sk-secret")]);
    let snapshot = &loaded.snapshot;
    let by_name = google(snapshot.speech(3));
    let target = by_name.target("gemini-3.1-pro");
    assert_eq!(target.thinking, gemini::Target::gemini_3("").thinking);
    assert!(target.signatures && target.model == "gemini-3.1-pro");
    assert!(!by_name.target("models/gemini-2.5-flash").signatures);
    let pro = Thinking::Budget { least: 128, most: 32_768, off: false };
    assert_eq!(by_name.target("gemini-2.5-pro").thinking, pro);
    let older = google(snapshot.speech(4)).target("gemini-3.1-pro");
    assert!(!older.signatures && !older.google_search, "as it is written, whatever it is called");
    assert_eq!(older.thinking, Thinking::Budget { least: 1, most: 9000, off: true });
    let never = google(snapshot.speech(5)).target("gemini-2.5-pro");
    assert_eq!((never.thinking, never.tools_max), (Thinking::Never, 9));
}
