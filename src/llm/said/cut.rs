//! Stop sequences that the target cannot be told: looked for in the text that passes, also across its pieces.

/// A text that passes. The sequence that is complete first ends it; of two that are complete with the same
/// letter, the longer one.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut {
    stops: Vec<Box<str>>,
    /// The end of the text so far that may be the beginning of a sequence; shorter than the longest of them.
    held: String,
}

impl Cut {
    pub(super) fn new(stops: Vec<Box<str>>) -> Self {
        Self { stops, held: String::new() }
    }

    /// Takes a piece of text and hands on what belongs to no sequence. When one is complete, that is
    /// returned, and the text before it has been handed on.
    pub(super) fn push(&mut self, text: &str, mut each: impl FnMut(&str)) -> Option<Box<str>> {
        if self.stops.is_empty() {
            each(text);
            return None;
        }
        self.held.push_str(text);
        let found = self.stops.iter().filter_map(|stop| Some((self.held.find(&**stop)?, stop)));
        let first = found.min_by_key(|(at, stop)| (at + stop.len(), *at));
        if let Some((at, stop)) = first {
            let stop = stop.clone();
            self.held.truncate(at);
            self.flush(each);
            return Some(stop);
        }
        let longest = self.stops.iter().map(|stop| stop.len()).max().unwrap_or(0);
        let from = self.held.len().saturating_sub(longest.saturating_sub(1));
        let kept = (from..self.held.len()).find(|at| {
            let rest = self.held.get(*at..);
            rest.is_some_and(|rest| self.stops.iter().any(|stop| stop.starts_with(rest)))
        });
        let kept = self.held.split_off(kept.unwrap_or(self.held.len()));
        let free = std::mem::replace(&mut self.held, kept);
        if !free.is_empty() {
            each(&free);
        }
        None
    }

    /// Hands on what is held: the text is over.
    pub(super) fn flush(&mut self, mut each: impl FnMut(&str)) {
        if !self.held.is_empty() {
            each(&std::mem::take(&mut self.held));
        }
    }
}
