//! The betas of a request by the names that a cloud has for them.

use std::borrow::Cow;

use crate::json::{self, Kind, Value};
use crate::limits;
use crate::llm::conversation::{Refusal, Why};
use crate::llm::loss::{Losses, Treatment};

/// What a cloud makes of one beta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beta<'a> {
    /// Anthropic's name.
    pub name: &'a str,
    /// The cloud's name; mostly the same.
    pub becomes: &'a str,
    /// Parts of ids of the models that have it; none: all have it.
    pub models: &'a [&'a str],
}

impl<'a> Beta<'a> {
    /// One that all models have under the same name.
    pub const fn same(name: &'a str) -> Self {
        Self { name, becomes: name, models: &[] }
    }
}

/// Betas under way.
#[derive(Debug)]
pub(super) struct Betas<'t> {
    model: &'t str,
    table: &'t [Beta<'t>],
    /// Each once, at most `limits::BETAS_MAX`.
    out: Vec<String>,
}

impl<'t> Betas<'t> {
    pub(super) const fn new(model: &'t str, table: &'t [Beta<'t>]) -> Self {
        Self { model, table, out: Vec::new() }
    }

    /// Takes the value of a header line.
    pub(super) fn line(&mut self, line: &str, losses: &mut Losses) {
        line.split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .for_each(|name| self.one(name, losses));
    }

    /// Takes `anthropic_beta` of a body: a list, or one name.
    pub(super) fn list(&mut self, body: &[u8], value: &Value, losses: &mut Losses) -> Result<(), Refusal> {
        match value.kind {
            Kind::Null => Ok(()),
            Kind::String => {
                self.line(&json::text(value.inner(body).unwrap_or_default())?, losses);
                Ok(())
            }
            Kind::Array => json::elements(body, value.span.clone(), |name| {
                let raw = name.inner(body);
                let why = || Refusal::new("anthropic_beta", Why::Kind("a list of strings"));
                self.one(json::text(raw.ok_or_else(why)?)?.trim(), losses);
                Ok(())
            }),
            _ => Err(Refusal::new("anthropic_beta", Why::Kind("a list of strings"))),
        }
    }

    fn one(&mut self, name: &str, losses: &mut Losses) {
        let known = self.table.iter().find(|beta| beta.name == name).filter(|beta| {
            beta.models.is_empty() || beta.models.iter().any(|part| self.model.contains(part))
        });
        let room = self.out.len() < limits::BETAS_MAX;
        match known {
            Some(beta) if self.out.iter().any(|own| own == beta.becomes) => {}
            Some(beta) if room => self.out.push(beta.becomes.to_owned()),
            _ => losses.note(shown(name), Treatment::Dropped),
        }
    }

    /// Leaves out those that begin so: what they are about has been left out of the body.
    pub(super) fn leave_out(&mut self, prefixes: &[&str], losses: &mut Losses) {
        self.out.retain(|beta| {
            let goes = prefixes.iter().any(|prefix| beta.starts_with(prefix));
            if goes {
                losses.note(shown(beta), Treatment::Dropped);
            }
            !goes
        });
    }

    pub(super) fn done(self) -> Vec<String> {
        self.out
    }
}

/// How a beta is called in a list of losses.
fn shown(name: &str) -> Cow<'static, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.len() <= limits::BETA_BYTES_MAX && name.bytes().all(plain) {
        Cow::Owned(format!("anthropic-beta.{name}"))
    } else {
        Cow::Borrowed("anthropic-beta")
    }
}
