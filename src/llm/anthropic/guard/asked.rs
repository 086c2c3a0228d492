//! Whether a request asks for safeguards, and what it says of the place where its client works.

use crate::json::{Fault, Field, Kind, elements, fields, fields_at, text};

/// A request that asks for safeguards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `classifier_context.live_cwd`: where commands run.
    pub cwd: Option<String>,
    /// `classifier_context.home_dir`.
    pub home: Option<String>,
}

/// Reads `{"safeguards": [{"classifier_context": {"live_cwd", "home_dir"}}]}`; nothing when no safeguard is
/// asked for, or the body is no JSON object.
pub fn asked(body: &[u8]) -> Option<Asked> {
    let mut list = None;
    let walked: Result<(), Fault> = fields(body, |Field { key, value }| {
        if matches!(value.kind, Kind::Array | Kind::Object) && text(key.raw)? == "safeguards" {
            list = Some(value);
        }
        Ok(())
    });
    let list = list.filter(|_| walked.is_ok())?;
    let mut asked = Asked::default();
    let mut context = |span: std::ops::Range<usize>| {
        fields_at(body, span, |Field { key, value }| {
            let place = match &*text(key.raw)? {
                "live_cwd" => &mut asked.cwd,
                "home_dir" => &mut asked.home,
                _ => return Ok(()),
            };
            *place = value.inner(body).map(text).transpose()?.map(std::borrow::Cow::into_owned);
            Ok::<_, Fault>(())
        })
    };
    let mut one = |span: std::ops::Range<usize>| {
        fields_at(body, span, |Field { key, value }| {
            if value.kind == Kind::Object && text(key.raw)? == "classifier_context" {
                context(value.span)?;
            }
            Ok::<_, Fault>(())
        })
    };
    let read =
        match list.kind {
            Kind::Object => one(list.span),
            _ => elements(body, list.span, |element| {
                if element.kind == Kind::Object { one(element.span) } else { Ok(()) }
            }),
        };
    // What cannot be read says nothing; that safeguards are asked for is all the same.
    if read.is_ok() { Some(asked) } else { Some(Asked::default()) }
}
