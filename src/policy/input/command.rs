//! The forms in which the commands of a line are tried: with quotes taken off, programs without their folder
//! and without those that only run them, variables put in, commands inside of words taken out.

use crate::limits;
use crate::shell::{RUNNERS, Script, Word, is_name};

/// How many words behind `sudo` and its like the program that is run may stand.
const RUN_WORDS: usize = 8;

/// All forms of a line beside itself; nothing when there are too many.
pub(super) fn forms(line: &str) -> Option<Vec<String>> {
    let mut forms = Forms { out: Vec::new(), bytes: 0, variables: Vec::new() };
    let mut queue = vec![(line.to_owned(), 0)];
    while let Some((line, depth)) = queue.pop() {
        let line = line.replace("${IFS}", " ").replace("$IFS", " ");
        let script = Script::read(&line);
        forms.remember(&script);
        forms.push(whole(&script))?;
        for command in &script.commands {
            forms.command(command)?;
        }
        let inner = script.commands.iter().flatten().map(|word| word.text.as_str());
        for text in inner.chain([script.rest.as_str()]) {
            if text != line
                && text.contains(|letter: char| letter.is_whitespace() || "();|&`$\"'\\".contains(letter))
            {
                if depth == limits::COMMAND_DEPTH_MAX {
                    return None;
                }
                queue.push((text.to_owned(), depth + 1));
            }
        }
    }
    Some(forms.out)
}

struct Forms {
    out: Vec<String>,
    bytes: usize,
    /// Names and values that are set in the line.
    variables: Vec<(String, String)>,
}

impl Forms {
    /// Adds a form; nothing when there is no room for it.
    fn push(&mut self, form: String) -> Option<()> {
        self.bytes += form.len() + 1;
        if self.bytes > limits::COMMAND_FORMS_BYTES_MAX {
            return None;
        }
        if form.contains('$') {
            let expanded = self.expanded(&form);
            self.bytes += expanded.len() + 1;
            self.out.push(expanded);
        }
        self.out.push(form);
        Some(())
    }

    fn remember(&mut self, script: &Script) {
        for word in script.commands.iter().flatten() {
            if let Some((name, value)) = word.text.split_once('=')
                && is_name(name)
                && self.variables.len() < limits::COMMAND_VARIABLES_MAX
            {
                self.variables.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    fn command(&mut self, command: &[Word]) -> Option<()> {
        let Some(first) = command.first() else { return Some(()) };
        self.push(joined(command, 0))?;
        if first.text.starts_with('{') && first.text.contains(',') {
            self.push(first.text.trim_matches(['{', '}']).replace(',', " "))?;
        }
        let set = |word: &Word| word.text.split_once('=').is_some_and(|(name, _)| is_name(name));
        if set(first) || RUNNERS.contains(&first.program()) {
            for skipped in 1..command.len().min(RUN_WORDS + 1) {
                self.push(joined(command.get(skipped..)?, 0))?;
            }
        }
        Some(())
    }

    /// A text with the values of its variables in their places; of those that nobody has set, nothing.
    fn expanded(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, tail) = match after.strip_prefix('{') {
                Some(inner) => inner.split_once('}').unwrap_or((inner, "")),
                None => {
                    let is_special = after.starts_with(|letter: char| "@*0123456789#?!-".contains(letter));
                    let end = after.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
                    let end = if is_special { 1 } else { end.unwrap_or(after.len()) };
                    after.split_at_checked(end).unwrap_or((after, ""))
                }
            };
            // `${x:-y}` is y where x is not set.
            let end = name.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
            let (plain, more) = name.split_at_checked(end.unwrap_or(name.len())).unwrap_or((name, ""));
            match self.variables.iter().rev().find(|(known, _)| known == plain) {
                // A value has no variables of its own here, so this cannot go round.
                Some((_, value)) => out.extend(value.chars().take(limits::INPUT_RULE_BYTES_MAX)),
                None => {
                    let other = more.strip_prefix(':').unwrap_or(more);
                    out.push_str(other.strip_prefix(['-', '=']).unwrap_or_default());
                }
            }
            if out.len() > limits::COMMAND_FORMS_BYTES_MAX {
                return out;
            }
            rest = tail;
        }
        out.push_str(rest);
        out
    }
}

/// The words of a command from one of them on, that one without its folder.
fn joined(command: &[Word], from: usize) -> String {
    let mut out = String::new();
    for (place, word) in command.iter().skip(from).enumerate() {
        if place == 0 {
            out.push_str(word.program());
        } else {
            out.push(' ');
            out.push_str(&word.text);
        }
    }
    out
}

/// The whole line, written plainly: one blank between words, and the signs between commands.
fn whole(script: &Script) -> String {
    let mut out = String::new();
    let mut signs = script.signs.iter();
    for command in &script.commands {
        let text = joined(command, 0);
        if !text.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&text);
        }
        let Some(&sign) = signs.next() else { break };
        let after_sign = out.ends_with(['|', '&', ';']);
        match sign {
            // `|&` is a pipe as well.
            '&' if out.ends_with('|') => {}
            '|' | '&' | ';' if after_sign => out.push(sign),
            '|' | '&' | ';' => out.extend([' ', sign]),
            '\n' if !after_sign && !out.is_empty() => out.push_str(" ;"),
            _ => {}
        }
    }
    out
}
