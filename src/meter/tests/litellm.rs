//! The import of LiteLLM's price list: what each kind of its fields becomes, and what is left out.

use proptest::prelude::{prop_assert, proptest};

use crate::limits;
use crate::meter::litellm::{Imported, ListFault, import};
use crate::meter::table::{Table, write_price};

/// So many models that the list is believed.
fn filler() -> String {
    (0..limits::PRICE_LIST_MODELS_MIN).map(|n| model(&format!("xai/m{n}"), "xai", &usual(n))).collect()
}

fn usual(n: usize) -> String {
    format!(r#""input_cost_per_token": {n}.5e-6, "output_cost_per_token": {n}.5e-5"#)
}

fn model(name: &str, provider: &str, fields: &str) -> String {
    format!(r#""{name}": {{"litellm_provider": "{provider}", "mode": "chat", {fields}}},"#)
}

fn list(models: &str) -> Result<Imported, ListFault> {
    let json = format!(r#"{{{models}{}"last": 1}}"#, filler());
    import(json.as_bytes(), "2026-11-22", "litellm-1.0")
}

#[track_caller]
fn check(provider: &str, name: &str, fields: &str, (section, listed): (&str, &str), price: &str) {
    let imported = list(&model(name, provider, fields)).unwrap();
    let found = imported.table.sections.get(section).and_then(|models| models.get(listed));
    assert_eq!(found.map(write_price).as_deref(), Some(price), "{name}: {:?}", imported.left_out);
}

#[test]
fn every_kind_of_price_is_taken() {
    let base = r#""input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05"#;
    let to = ("deepseek", "x");
    for (more, price) in [
        ("", "2/10"),
        (r#""cache_read_input_token_cost": 2.0000000000000002e-07"#, "2/10 read=0.2"),
        (r#""cache_read_input_token_cost": 0"#, "2/10"),
        (r#""cache_creation_input_token_cost": 2.5e-06"#, "2/10 write=2.5"),
        (r#""cache_creation_input_token_cost": 0.0"#, "2/10"),
        (
            r#""cache_creation_input_token_cost": 2.5e-06,
               "cache_creation_input_token_cost_above_12hr": 4e-06"#,
            "2/10 write=2.5/4",
        ),
        (r#""output_cost_per_reasoning_token": 2e-05"#, "2/10 think=20"),
        (r#""max_output_tokens": 64000"#, "2/10 max=64000"),
        (r#""max_output_tokens": "many""#, "2/10"),
        (
            r#""search_context_cost_per_query": {
               "search_context_size_low": 0.01, "search_context_size_high": 0.025}"#,
            "2/10 search=0.025",
        ),
        (r#""provider_specific_entry": {"us": 1.1, "fast": 6.0}"#, "2/10 fast=6 us=1.1"),
        (
            r#""regional_processing_uplift_multiplier_eu": 1.1,
               "regional_processing_uplift_multiplier_us": 1.2"#,
            "2/10 us=1.2 eu=1.1",
        ),
        (
            r#""input_cost_per_token_batches": 1e-06, "output_cost_per_token_batches": 5e-06"#,
            "2/10 batch*0.5",
        ),
        (r#""input_cost_per_token_flex": 1e-06"#, "2/10 flex 1/10"),
        (
            // The cache of a tier is as much cheaper than its input as it is below the tier.
            r#""cache_read_input_token_cost": 2e-07, "input_cost_per_token_above_200k_tokens": 4e-06,
               "output_cost_per_token_above_200k_tokens": 1.5e-05"#,
            "2/10 read=0.2 >200000 4/15 read=0.4",
        ),
        (
            r#""input_cost_per_token_above_200k_tokens": 4e-06,
               "output_cost_per_token_above_200k_tokens": 1.5e-05,
               "input_cost_per_token_priority": 4e-06, "output_cost_per_token_priority": 2e-05,
               "input_cost_per_token_above_200k_tokens_priority": 9e-06,
               "output_cost_per_token_above_200k_tokens_priority": 3e-05,
               "input_cost_per_token_flex": 1e-06, "output_cost_per_token_flex": 5e-06"#,
            "2/10 >200000 4/15 flex*0.5 priority 4/20 priority>200000 9/30",
        ),
    ] {
        let comma = if more.is_empty() { "" } else { "," };
        check("deepseek", "x", &format!("{base}{comma} {more}"), to, price);
    }
    let tiers = r#""tiered_pricing": [
        {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 5e-06},
        {"range": [32000.0, 128000.0], "input_cost_per_token": 1.8e-06, "output_cost_per_token": 9e-06}]"#;
    check("dashscope", "dashscope/qwen", tiers, ("dashscope", "qwen"), "1/5 >32000 1.8/9");
}

#[test]
fn models_go_to_the_section_of_whoever_sells_them() {
    let base = r#""input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05"#;
    for (provider, name, section, listed) in [
        ("bedrock_converse", "us.anthropic.x", "bedrock", "us.anthropic.x"),
        ("bedrock", "bedrock/us-gov-west-1/x", "bedrock", "us-gov-west-1/x"),
        ("bedrock_mantle", "bedrock_mantle/x", "bedrock", "x"),
        ("vertex_ai-language-models", "palm-x", "vertex", "palm-x"),
        ("vertex_ai-anthropic_models", "vertex_ai/x@default", "vertex", "x@default"),
        ("azure_ai", "azure_ai/x", "azure", "x"),
        ("cohere_chat", "x", "cohere", "x"),
    ] {
        check(provider, name, base, (section, listed), "2/10");
    }
    let fields = format!(r#"{base}, "regional_endpoint_uplift_multiplier": 1.1"#);
    check("vertex_ai", "x", &fields, ("vertex", "x"), "2/10 us=1.1 eu=1.1 region=1.1");
    // An hour of Anthropic's cache costs twice the input, and a search a cent, where the list is silent.
    let fields = format!(r#"{base}, "cache_creation_input_token_cost": 2.5e-06"#);
    check("azure_ai", "azure_ai/claude-x", &fields, ("azure", "claude-x"), "2/10 write=2.5/4 search=0.01");
    check("openai", "gpt-x", base, ("openai", "gpt-x"), "2/10 search=0.01");
    check("gemini", "gemini/gemini-x", base, ("gemini", "gemini-x"), "2/10 search=0.035");
    // At xAI a tier begins with its number.
    let fields = format!(
        r#"{base}, "input_cost_per_token_above_200k_tokens": 4e-06,
           "output_cost_per_token_above_200k_tokens": 2e-05, "input_cost_per_token_batches": 1e-06,
           "output_cost_per_token_batches": 5e-06, "input_cost_per_token_above_200k_tokens_batches": 3e-06,
           "output_cost_per_token_above_200k_tokens_batches": 6e-06"#
    );
    check("xai", "xai/x", &fields, ("xai", "x"), "2/10 >199999 4/20 batch 1/5 batch>199999 3/6");
    // A discount on input is none on the cache, unless the list says so.
    let fields = format!(
        r#"{base}, "cache_read_input_token_cost": 1.5e-06, "input_cost_per_token_batches": 1e-06,
           "output_cost_per_token_batches": 5e-06, "cache_read_input_token_cost_flex": 5e-07,
           "input_cost_per_token_flex": 1e-06, "output_cost_per_token_flex": 5e-06"#
    );
    check("xai", "xai/x", &fields, ("xai", "x"), "2/10 read=1.5 batch 1/5 flex 1/5 read=0.5");
}

#[test]
fn what_cannot_be_priced_is_left_out_and_named() {
    let paid = r#""input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05"#;
    let models = [
        model("openai/free", "openai", r#""input_cost_per_token": 0.0, "output_cost_per_token": 0.0"#),
        model("openai/silent", "openai", r#""max_tokens": 5"#),
        model(
            "openai/negative",
            "openai",
            r#""input_cost_per_token": -1e-06, "output_cost_per_token": 1e-05"#,
        ),
        model("openai/dear", "openai", r#""input_cost_per_token": 0.003, "output_cost_per_token": 1e-05"#),
        model("openai/with space", "openai", paid),
        model("bedrock/eu-west-1/1-month-commitment/x", "bedrock", paid),
        // Of these nobody wants to hear.
        model("someone/else", "someone", paid),
        r#""openai/picture": {"litellm_provider": "openai", "mode": "image_generation"},"#.to_owned(),
        r#""sample_spec": "text",  "list": [],"#.to_owned(),
    ];
    let imported = list(&models.concat()).unwrap();
    let names: Vec<&str> = imported.left_out.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "bedrock/eu-west-1/1-month-commitment/x",
            "openai/dear",
            "openai/free",
            "openai/negative",
            "openai/silent",
            "openai/with space",
        ]
    );
    assert_eq!(imported.table.len(), limits::PRICE_LIST_MODELS_MIN);
}

#[test]
fn a_name_without_regions_has_their_price_on_bedrock() {
    let at =
        |rate: &str| format!(r#""input_cost_per_token": {rate}e-06, "output_cost_per_token": {rate}e-05"#);
    let models = [
        model("anthropic.claude-x", "bedrock", &at("2")),
        model("global.anthropic.claude-x", "bedrock", &at("2")),
        model("us.anthropic.claude-x", "bedrock", &at("2.2")),
        model("anthropic.claude-y", "bedrock", &at("2")),
        model("us.amazon.z", "bedrock", &at("2.2")),
        model("amazon.z", "bedrock", &at("2")),
    ];
    let table = list(&models.concat()).unwrap().table;
    let found: Vec<_> =
        table.sections["bedrock"].iter().map(|(name, price)| (&**name, price.base.input)).collect();
    // What the regions cost is found by the bare name too.
    assert_eq!(
        found,
        [
            ("amazon.z", 2_000_000),
            ("anthropic.claude-x", 2_200_000),
            ("anthropic.claude-y", 2_000_000),
            ("global.anthropic.claude-x", 2_000_000),
            ("us.amazon.z", 2_200_000),
        ]
    );
}

#[test]
fn the_same_list_gives_the_same_table() {
    let [one, two] = [list("").unwrap(), list("").unwrap()].map(|imported| imported.table.write("x"));
    assert_eq!(one, two);
    assert_eq!(Table::read(&one).unwrap().write("x"), one);
    assert!(one.starts_with("# x\ntollgate-prices 1 2026-11-22 litellm-1.0\n[xai]\nm0 0.5/5\n"), "{one}");
}

#[test]
fn what_is_no_list_is_refused() {
    let read = |json: &str| import(json.as_bytes(), "2026-11-22", "x");
    for text in ["", "[]", "null", "{", "{\"a\": {\"b\": 1}", "\u{0}"] {
        assert!(matches!(read(text), Err(ListFault::Json(_))), "{text}");
    }
    assert!(matches!(read("{}"), Err(ListFault::TooFew(0))));
    assert!(matches!(import(b"{}", "today", "x"), Err(ListFault::Head)));
    assert!(matches!(import(b"{}", "2026-11-22", "two words"), Err(ListFault::Head)));
}

proptest! {
    #[test]
    fn any_number_is_priced_or_left_out(
        input in "-?[0-9]{0,30}(\\.[0-9]{0,30})?([eE][-+]?[0-9]{0,6})?|\\PC{0,20}",
    ) {
        // Broken JSON refuses the list, a broken number the model.
        let fields = format!(r#""input_cost_per_token": {input}, "output_cost_per_token": 1e-05"#);
        if let Ok(imported) = list(&model("openai/odd", "openai", &fields)) {
            let odd = imported.table.sections.get("openai").and_then(|models| models.get("odd"));
            prop_assert!(odd.is_none_or(|price| price.base.input > 0));
        }
    }
}
