//! The many names of one model: what to look for when a name as it was sent stands in no table of prices.
//!
//! Providers sell the same model as `claude-opus-5`, `us.anthropic.claude-opus-5-v1:0`,
//! `arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-opus-5`, `claude-opus-5@default`,
//! `publishers/anthropic/models/claude-opus-5`, with the day of its release or without, with the size of its
//! window in brackets. Names are taken apart here, never put together from guesses: whatever is left out
//! changes which of several prices of the same model is found, but not the model.

use crate::limits;

/// What precedes a vendor on Bedrock: where the profile may run.
const PROFILES: &[&str] =
    &["global", "us", "eu", "apac", "au", "jp", "ca", "sa", "mea", "af", "in", "us-gov", "us-iso", "eu-isoe"];

/// Who makes a model, by a part of its name: the section to look in when a reseller's has nothing.
const MAKERS: &[(&str, &str)] = &[
    ("claude-", "anthropic"),
    ("gpt-", "openai"),
    ("gemini-", "gemini"),
    ("mistral-", "mistral"),
    ("codestral-", "mistral"),
    ("deepseek-", "deepseek"),
    ("grok-", "xai"),
];

/// Whose list of prices holds at a host, by the end of its name.
const HOSTS: &[(&str, &str)] = &[
    ("api.anthropic.com", "anthropic"),
    ("api.openai.com", "openai"),
    (".openai.azure.com", "azure"),
    (".services.ai.azure.com", "azure"),
    (".models.ai.azure.com", "azure"),
    (".cognitiveservices.azure.com", "azure"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("aiplatform.googleapis.com", "vertex"),
    (".rep.googleapis.com", "vertex"),
    ("api.mistral.ai", "mistral"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "xai"),
    ("api.groq.com", "groq"),
    ("api.cerebras.ai", "cerebras"),
    ("api.moonshot.ai", "moonshot"),
    ("api.moonshot.cn", "moonshot"),
    ("api.z.ai", "zai"),
    ("api.minimax.io", "minimax"),
    ("api.cohere.com", "cohere"),
    ("dashscope.aliyuncs.com", "dashscope"),
    ("dashscope-intl.aliyuncs.com", "dashscope"),
];

/// The section of the shipped table whose prices hold at a provider's host; `None` for hosts that nobody
/// knows, whose section is better told by what the provider speaks.
pub fn section_of_host(host: &str) -> Option<&'static str> {
    let host = host.to_ascii_lowercase();
    let aws = host.ends_with(".amazonaws.com") || host.ends_with(".api.aws");
    if aws && host.starts_with("bedrock") {
        return Some("bedrock");
    }
    // Anthropic's own API on AWS has Anthropic's prices.
    if aws && host.starts_with("aws-external-anthropic.") {
        return Some("anthropic");
    }
    let ends = |known: &str| {
        host.strip_suffix(known)
            .is_some_and(|before| before.is_empty() || known.starts_with('.') || before.ends_with(['.', '-']))
    };
    HOSTS.iter().find(|(known, _)| ends(known)).map(|(_, section)| *section)
}

/// The section of who makes a model, as far as its name tells.
pub(crate) fn maker(model: &str) -> Option<&'static str> {
    MAKERS.iter().find(|(part, _)| model.contains(part)).map(|(_, section)| *section)
}

/// The other spellings of a name, nearest first, without the name itself: at most
/// `limits::PRICE_NAME_FORMS_MAX`. None of a name that is longer than models have.
///
/// What is at the end of a name goes first: it says which edition of a model is meant. What is before it goes
/// last: it says where the model runs, and that has a price.
pub(crate) fn forms(model: &str) -> Vec<String> {
    let mut forms = Forms { first: model, list: Vec::new() };
    if model.len() > limits::MODEL_NAME_BYTES_MAX {
        return forms.list;
    }
    let lower = model.to_ascii_lowercase();
    forms.add(lower.clone());
    let name = forms.path(&lower);
    let heads = heads(name);
    let tails = tails(name, heads.len() > 1);
    for head in heads {
        for tail in &tails {
            forms.add(tail.get(head..).unwrap_or_default().to_owned());
        }
    }
    let barest = forms.list.last().map_or(name, String::as_str);
    if let Some(dashed) = dashed(barest) {
        forms.add(dashed);
    }
    forms.list
}

struct Forms<'m> {
    first: &'m str,
    list: Vec<String>,
}

impl Forms<'_> {
    fn add(&mut self, form: String) {
        let fits = !form.is_empty() && self.list.len() < limits::PRICE_NAME_FORMS_MAX;
        if fits && form != self.first && !self.list.contains(&form) {
            self.list.push(form);
        }
    }

    /// What is left of ARNs, of the resource names of Google, and of names with their maker before a slash.
    fn path<'n>(&mut self, name: &'n str) -> &'n str {
        let Some((before, last)) = name.rsplit_once('/') else { return name };
        if let Some(arn) = before.strip_prefix("arn:") {
            // arn:partition:bedrock:region:account:kind/name. Some regions have prices of their own.
            let region = arn.split(':').nth(2).unwrap_or_default();
            for head in heads(last) {
                self.add(format!("{region}/{}", last.get(head..).unwrap_or_default()));
            }
        }
        let mut folders = before.rsplit('/');
        if folders.next() == Some("models")
            && let Some(maker) = folders.next()
        {
            self.add(format!("{maker}/{last}"));
        }
        last
    }
}

/// Where a name may begin: with its profile and vendor, `us.anthropic.claude-opus-5`, or behind them.
fn heads(name: &str) -> Vec<usize> {
    let (mut heads, mut rest) = (vec![0], name);
    if let Some((profile, after)) = rest.split_once('.')
        && PROFILES.contains(&profile)
    {
        rest = after;
        heads.push(name.len() - rest.len());
    }
    if let Some((vendor, after)) = rest.split_once('.')
        && !vendor.is_empty()
        && vendor.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        heads.push(name.len() - after.len());
    }
    heads
}

/// A name with less and less at its end: the size of its window, its version, its day.
fn tails(name: &str, on_bedrock: bool) -> Vec<String> {
    let mut tails = vec![name.to_owned()];
    let mut name = name;
    fn cut<'n>(tails: &mut Vec<String>, before: &'n str) -> &'n str {
        tails.push(before.to_owned());
        before
    }
    // `claude-opus-5[1m]`: a larger window, at the prices of its tiers.
    if let Some((before, _)) = name.split_once('[') {
        name = cut(&mut tails, before);
    }
    // `ft:gpt-4o-2024-08-06:org::id` is priced as `ft:gpt-4o-2024-08-06`.
    let tuned = if name.starts_with("ft:") { 3 } else { 0 };
    let colon = name.get(tuned..).and_then(|rest| rest.find(':')).map(|at| at + tuned);
    if let Some(before) = colon.and_then(|at| name.get(..at)) {
        name = cut(&mut tails, before);
    }
    // Elsewhere `-v3` is no version of the same thing: `deepseek-v3`.
    if let Some((before, version)) = name.rsplit_once("-v")
        && on_bedrock
        && !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_digit())
    {
        name = cut(&mut tails, before);
    }
    // Vertex: `@20251101`, `@default`.
    if let Some((before, version)) = name.split_once('@') {
        tails.push(format!("{before}-{version}"));
        tails.push(format!("{before}@default"));
        name = cut(&mut tails, before);
    }
    for tail in ["-latest", "-default"] {
        name = name.strip_suffix(tail).map_or(name, |before| cut(&mut tails, before));
    }
    if let Some(before) = without_date(name) {
        cut(&mut tails, before);
    }
    tails
}

/// A name without the day at its end, `-20251101` or `-2025-11-01`; `None` where there is none.
fn without_date(name: &str) -> Option<&str> {
    [9, 11].into_iter().find_map(|length| {
        let (before, tail) = name.split_at_checked(name.len().checked_sub(length)?)?;
        (!before.is_empty() && is_dated(tail)).then_some(before)
    })
}

/// Whether a text is what stands between a name and the end of the same name with a day.
pub(crate) fn is_dated(tail: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(day) = tail.strip_prefix(['-', '@']) else { return false };
    // Bedrock: `-20251101-v1:0`.
    let day = day.split_once("-v").map_or(day, |(day, _)| day);
    let shaped = match day.len() {
        8 => digits(day),
        10 => crate::meter::table::is_date(day),
        _ => false,
    };
    shaped && day.starts_with("20")
}

/// `claude-opus-4.5` as its maker writes it: dots between digits are dashes.
fn dashed(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let between = |at: usize| digit(at.checked_sub(1)) && digit(at.checked_add(1));
    let mut changed = false;
    let dash = |(at, character): (usize, char)| {
        let dot = character == '.' && between(at);
        changed |= dot;
        if dot { '-' } else { character }
    };
    let dashed: String = name.char_indices().map(dash).collect();
    changed.then_some(dashed)
}

#[cfg(test)]
mod tests {
    use super::{forms, is_dated, maker, section_of_host};
    use crate::limits;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn names_of_clouds_lead_to_the_name_of_the_maker() {
        for (name, wanted) in [
            ("claude-opus-5[1m]", &["claude-opus-5"][..]),
            ("claude-opus-4-5-20251101", &["claude-opus-4-5"]),
            ("claude-opus-4-5@20251101", &["claude-opus-4-5-20251101", "claude-opus-4-5"]),
            ("claude-opus-5@default", &["claude-opus-5"]),
            ("claude-opus-4.5", &["claude-opus-4-5"]),
            ("Claude-Opus-5", &["claude-opus-5"]),
            ("gpt-5-2025-08-07", &["gpt-5"]),
            ("ft:gpt-4o-2024-08-06:acme::abc", &["ft:gpt-4o-2024-08-06"]),
            ("models/gemini-2.5-pro", &["gemini-2.5-pro"]),
            ("publishers/meta/models/llama-x", &["meta/llama-x", "llama-x"]),
            (
                "us.anthropic.claude-opus-4-5-20251101-v1:0",
                &[
                    "us.anthropic.claude-opus-4-5-20251101-v1",
                    "us.anthropic.claude-opus-4-5-20251101",
                    "us.anthropic.claude-opus-4-5",
                    "anthropic.claude-opus-4-5-20251101-v1:0",
                    "anthropic.claude-opus-4-5-20251101-v1",
                    "anthropic.claude-opus-4-5",
                    "claude-opus-4-5-20251101",
                    "claude-opus-4-5",
                ],
            ),
            (
                "arn:aws-us-gov:bedrock:us-gov-west-1:1:inference-profile/us-gov.anthropic.claude-opus-5",
                &[
                    "us-gov-west-1/us-gov.anthropic.claude-opus-5",
                    "us-gov-west-1/anthropic.claude-opus-5",
                    "us-gov.anthropic.claude-opus-5",
                    "anthropic.claude-opus-5",
                    "claude-opus-5",
                ],
            ),
        ] {
            let found = forms(name);
            let mut rest = found.iter();
            for form in wanted {
                assert!(rest.any(|found| found == form), "{name}: {form} is not in its place in {found:?}");
            }
            assert!(!found.iter().any(|form| form == name));
        }
    }

    #[test]
    fn a_model_is_not_taken_for_another() {
        for name in ["gpt-5", "o3-mini", "gpt-4-0613", "qwen3-30b-a3b", "deepseek-v3", "command-r7b-12-2024"]
        {
            assert_eq!(forms(name), Vec::<String>::new());
        }
        assert_eq!(forms("gpt-5.6"), ["gpt-5-6"]);
        assert!(is_dated("-20251101-v1:0") && !is_dated("-v1:0") && !is_dated("-2025110-v1"));
        assert!(is_dated("-20251101") && is_dated("@20251101") && is_dated("-2025-11-01"));
        assert!(!is_dated("-19991101") && !is_dated("-2025110") && !is_dated("20251101") && !is_dated(""));
    }

    #[test]
    fn hosts_tell_whose_prices_hold() {
        for (host, section) in [
            ("api.anthropic.com", Some("anthropic")),
            ("API.OpenAI.com", Some("openai")),
            ("eu.api.openai.com", Some("openai")),
            ("bedrock-runtime.eu-west-1.amazonaws.com", Some("bedrock")),
            ("bedrock-mantle.us-east-1.api.aws", Some("bedrock")),
            ("aws-external-anthropic.us-east-1.api.aws", Some("anthropic")),
            ("us-east5-aiplatform.googleapis.com", Some("vertex")),
            ("aiplatform.googleapis.com", Some("vertex")),
            ("aiplatform.eu.rep.googleapis.com", Some("vertex")),
            ("acme.services.ai.azure.com", Some("azure")),
            ("notapi.openai.com", None),
            ("api.openai.com.evil.example", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(section_of_host(host), section, "{host}");
        }
        assert_eq!(maker("us.anthropic.claude-opus-5"), Some("anthropic"));
        assert_eq!(maker("llama"), None);
    }

    proptest! {
        #[test]
        fn any_name_has_few_forms(name in "[a-z0-9.:/@\\[\\]é-]{0,300}|\\PC{0,80}") {
            let found = forms(&name);
            prop_assert!(found.len() <= limits::PRICE_NAME_FORMS_MAX);
            // Of an ARN its region may stand before the rest.
            prop_assert!(found.iter().all(|form| form.len() <= 2 * limits::MODEL_NAME_BYTES_MAX));
        }
    }
}
