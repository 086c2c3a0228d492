//! Places of a body that go out otherwise, and the copy that leaves them out.

use std::borrow::Cow;
use std::ops::Range;

use crate::limits;

/// A place, and what goes out instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) span: Range<usize>,
    pub(super) by: Cow<'static, [u8]>,
}

/// All of one body.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts(Vec<Cut>);

impl Cuts {
    /// Leaves a place out.
    pub(super) fn leave_out(&mut self, span: Range<usize>) {
        self.replace(span, b"");
    }

    /// Puts something else in a place.
    pub(super) fn replace(&mut self, span: Range<usize>, by: &'static [u8]) {
        if self.0.len() < limits::CUTS_MAX && !span.is_empty() {
            self.0.push(Cut { span, by: Cow::Borrowed(by) });
        }
    }

    /// All of them from the front to the end.
    pub(super) fn sorted(mut self) -> Vec<Cut> {
        self.0.sort_by_key(|cut| cut.span.start);
        self.0
    }
}

/// Which items of a list or an object go, with the commas that they leave behind. Told about each item from
/// the front to the end, and then of the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Sieve {
    /// Where the last item that stays ends.
    kept: Option<usize>,
    /// Items that go since then.
    open: Option<Range<usize>>,
}

impl Sieve {
    /// The next item, which stays or goes.
    pub(super) fn item(&mut self, span: Range<usize>, stays: bool, cuts: &mut Cuts) {
        if !stays {
            let start = self.open.take().map_or(span.start, |open| open.start);
            self.open = Some(start..span.end);
            return;
        }
        // The comma behind those that go ends where this one begins.
        if let Some(open) = self.open.take() {
            cuts.leave_out(open.start..span.start);
        }
        self.kept = Some(span.end);
    }

    /// The end; whether anything stays.
    pub(super) fn end(self, cuts: &mut Cuts) -> bool {
        if let Some(open) = self.open {
            cuts.leave_out(self.kept.unwrap_or(open.start)..open.end);
        }
        self.kept.is_some()
    }
}

/// Appends `span` of `body` without what is cut out of it. Of cuts that overlap the first counts.
pub(super) fn copy(body: &[u8], span: Range<usize>, cuts: &[Cut], out: &mut Vec<u8>) {
    let mut from = span.start;
    let first = cuts.partition_point(|cut| cut.span.start < span.start);
    for Cut { span: cut, by } in cuts.get(first..).unwrap_or_default() {
        if cut.end > span.end {
            break;
        }
        if cut.start < from {
            continue;
        }
        out.extend_from_slice(body.get(from..cut.start).unwrap_or_default());
        out.extend_from_slice(by);
        from = cut.end;
    }
    out.extend_from_slice(body.get(from..span.end).unwrap_or_default());
}
