//! The words that say by which draft a schema is to be read, and when they may go.

use super::survey::Survey;
use super::tree::{ROOT, Tree};

/// Takes `$schema` and `$id` away where nothing reads differently without them.
///
/// A schema without `$schema` is read by 2020-12, or by what its reader likes, so the mark goes only where
/// its draft and 2020-12 agree about every word that is used. `$id` is what references are read against, and
/// all that are here begin with `#`.
pub(super) fn drop_marks(tree: &mut Tree<'_>, survey: &Survey) {
    let mark = tree.get(ROOT, "$schema");
    let needed = mark.is_some_and(|mark| tree.string(mark).is_none_or(|draft| is_needed(draft, survey)));
    tree.retain(ROOT, |_, name, _| !(name == "$id" || (name == "$schema" && !needed)));
}

fn is_needed(draft: &str, survey: &Survey) -> bool {
    match draft.strip_suffix('#').unwrap_or(draft) {
        "http://json-schema.org/draft-06/schema" => survey.differs_from_6,
        "http://json-schema.org/draft-07/schema" => survey.differs_from_7,
        "https://json-schema.org/draft/2019-09/schema" => survey.differs_from_2019,
        "https://json-schema.org/draft/2020-12/schema" => false,
        _ => true,
    }
}

/// Whether we know the draft that a schema names, if it names one: older ones, and vocabularies of others,
/// have words that mean something else.
pub(super) fn is_known(tree: &Tree<'_>) -> bool {
    let Some(mark) = tree.get(ROOT, "$schema") else { return true };
    tree.string(mark).is_some_and(|draft| {
        matches!(
            draft.strip_suffix('#').unwrap_or(draft),
            "http://json-schema.org/draft-06/schema"
                | "http://json-schema.org/draft-07/schema"
                | "https://json-schema.org/draft/2019-09/schema"
                | "https://json-schema.org/draft/2020-12/schema"
        )
    })
}
