//! Tiers: which targets stand for haiku, sonnet and opus, and under which names clients find them.
//!
//! Claude Code lists only models with `claude` or `anthropic` in their name, and tells by the family in it
//! what one is for. So a foreign model of a tier has a name of that form, `claude-sonnet-via-gpt-6`, which
//! leads to it alone, and every name of the family that `models:` does not write out leads to the tier.

use crate::glob::Glob;
use crate::route::model::{Entry, Target};

/// The families that there may be a tier for.
pub const TIERS: [&str; 5] = ["haiku", "sonnet", "opus", "fable", "mythos"];

/// The name under which clients find a model of a tier.
pub fn via(tier: &str, model: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let model: String = model.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    format!("claude-{tier}-via-{model}")
}

/// The pattern of the names of a family, dated or not, with or without what stands in brackets.
pub fn pattern(tier: &str) -> String {
    format!("*claude*{tier}*")
}

/// The entries of a tier for the table: a name for each of its models, then the family as a whole. Several
/// targets of one model share its name.
pub fn entries(tier: &str, targets: &[Target]) -> Vec<(Glob, Entry)> {
    let mut named: Vec<(String, Vec<Target>)> = Vec::new();
    for target in targets {
        let Some(model) = &target.model else { continue };
        let name = via(tier, model);
        let own = Target { pattern: name.as_str().into(), ..target.clone() };
        match named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, targets)) => targets.push(own),
            None => named.push((name, vec![own])),
        }
    }
    let mut entries: Vec<(Glob, Entry)> =
        named.into_iter().map(|(name, targets)| (Glob::new(&name), Entry::from(targets))).collect();
    entries.push((Glob::new(&pattern(tier)), Entry::from(targets.to_vec())));
    entries
}
