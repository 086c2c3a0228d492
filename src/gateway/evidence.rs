//! What an answer says of where it was made and by which model, beside what was asked for: the row of the
//! ledger shows both, and what contradicts is an entry of its own that a person can find.

use std::borrow::Cow;

use crate::gateway::log::Level;
use crate::gateway::record::Record;
use crate::gateway::worker::Worker;
use crate::ids::{KeyName, ProviderName, TeamName};
use crate::ledger::entry::{Kind, Tokens};
use crate::ledger::note::Note;
use crate::route::version::{family, is_served_as};

/// Something that a person has to look at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    /// For the counters.
    kind: &'static str,
    /// A sentence.
    text: String,
}

/// Compares an answer with what was asked for, and notes in the record what differs.
pub(super) fn compare(record: &mut Record) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    alarms.extend(place(record));
    alarms.extend(model(record));
    alarms
}

/// An answer that was made elsewhere than its provider is.
fn place(record: &mut Record) -> Option<Alarm> {
    let place = record.place.as_ref()?;
    let said = record.answer.terms.inference_geo.as_deref()?;
    if !place.is_contradicted_by(said) {
        return None;
    }
    let provider = record.provider.as_ref().map_or("", ProviderName::as_str);
    let text = format!(
        "provider {provider} is in {} by the config, and says that it ran {} in {said}",
        place.label(),
        record.model
    );
    record.region = format!("{} (said {said})", place.label());
    Some(Alarm { kind: "wrong_region", text })
}

/// An answer of another model than the one that the provider was asked for.
fn model(record: &mut Record) -> Option<Alarm> {
    let asked = record.sent_model.as_deref();
    let mut marks = Vec::new();
    if let Some(asked) = asked {
        marks.push(format!("sent as {asked}"));
    }
    let asked = asked.unwrap_or(&record.model);
    let served = record.answer.model.as_deref().filter(|served| !is_served_as(asked, served));
    let alarm = served.and_then(|served| {
        marks.push(format!("served {served} for {asked}"));
        let differs = family(asked).is_some() && family(asked) != family(served);
        let provider = record.provider.as_ref().map_or("", ProviderName::as_str);
        let text = format!("provider {provider} was asked for {asked} and served {served}");
        differs.then_some(Alarm { kind: "wrong_model", text })
    });
    for mark in marks {
        record.mark(&mark);
    }
    alarm
}

impl Worker {
    /// Has people look at what contradicts: a line of the log, a counter, an entry of the ledger.
    pub(super) async fn sound(&self, record: &Record, alarms: &[Alarm]) {
        for Alarm { kind, text } in alarms {
            if let Some(provider) = &record.provider {
                self.metrics.borrow_mut().upstream_error(provider, kind);
            }
            let id = record.id.shown();
            let id = str::from_utf8(&id).unwrap_or_default();
            self.log.borrow_mut().line(Level::Warn, "alarm", |line| {
                line.text("kind", kind)
                    .text("request_id", id)
                    .text("key", record.key.as_ref().map_or("", KeyName::as_str))
                    .text("team", record.team.as_ref().map_or("", TeamName::as_str))
                    .text("error", text)
            });
            let text = format!("{text} (call {id})");
            let note = Note {
                id: self.next_id(),
                took_us: 0,
                first_byte_us: 0,
                tokens: Tokens::default(),
                cost_pico: 0,
                priced: "",
                budgets: [&[], &[]],
                status: 0,
                outcome: "done",
                stop_reason: "",
                error: Cow::Borrowed(&text),
                request_bytes: 0,
                answer_bytes: 0,
                actions: Vec::new(),
                content: "",
                offers: Vec::new(),
                ..record.note(Kind::Alarm)
            };
            self.books.event_soon(&note).await;
        }
    }
}
