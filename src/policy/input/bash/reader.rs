//! Takes a line apart by the grammar of `bash`: lists, pipelines, compounds, redirections, expansions.

use std::mem::take;

use crate::limits;
use crate::policy::input::bash::{Command, Feed, Line, Piece, Set, Value, Word};

/// Takes a line apart; nothing when it does not follow the grammar as it is known here. `piped`: it may read
/// what somebody prints.
pub(super) fn read(text: &str, piped: bool) -> Option<Line> {
    let mut line = Line::default();
    let mut reader = Reader { letters: text.chars().collect(), piped, ..Reader::default() };
    reader.list(&mut line, false)?;
    Some(line)
}

#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) letters: Vec<char>,
    pub(super) at: usize,
    /// Substitutions within substitutions.
    pub(super) depth: usize,
    /// The whole may read what somebody prints.
    pub(super) piped: bool,
    /// Here-documents whose text is on the next lines.
    pub(super) pending: Vec<Pending>,
}

/// A here-document that is still to come.
#[derive(Debug)]
pub(super) struct Pending {
    command: usize,
    delimiter: String,
    /// Tabs in front of its lines are dropped.
    tabs: bool,
    quoted: bool,
}

/// Where a list of commands has come to.
#[derive(Debug, Default)]
struct State {
    list: usize,
    /// The place of the command under way.
    open: Option<usize>,
    /// The last one of the list.
    last: Option<usize>,
    /// A compound has just ended.
    closed: bool,
    /// What compounds that are open read.
    feeds: Vec<Feed>,
    /// What the next command reads.
    next: Option<Feed>,
    parens: usize,
    /// `case` that are open, and whether a pattern comes next.
    cases: usize,
    pattern: bool,
}

impl Reader {
    pub(super) fn peek(&self, ahead: usize) -> Option<char> {
        self.letters.get(self.at + ahead).copied()
    }

    pub(super) fn looks_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(ahead, letter)| self.peek(ahead) == Some(letter))
    }

    pub(super) fn skip(&mut self, text: &str) -> bool {
        let found = self.looks_at(text);
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn blanks(&mut self) {
        loop {
            match self.peek(0) {
                Some(' ' | '\t') => self.at += 1,
                Some('\\') if self.peek(1) == Some('\n') => self.at += 2,
                _ => return,
            }
        }
    }

    fn gap(&mut self) {
        self.blanks();
        while self.peek(0) == Some('\n') || self.peek(0) == Some('#') {
            if self.peek(0) == Some('#') {
                while self.peek(0).is_some_and(|letter| letter != '\n') {
                    self.at += 1;
                }
            } else {
                self.at += 1;
            }
            self.blanks();
        }
    }

    /// Reads commands to the end, or to the bracket that closes a substitution.
    pub(super) fn list(&mut self, out: &mut Line, in_brackets: bool) -> Option<()> {
        if self.depth > limits::COMMAND_DEPTH_MAX {
            return None;
        }
        let mut state = State { list: out.commands.len(), ..State::default() };
        // A substitution reads what the command around it does.
        if self.piped || self.depth > 0 {
            state.feeds.push(Feed::Pipe(None));
        }
        loop {
            self.blanks();
            if state.pattern && state.open.is_none() {
                self.case_pattern(out, &mut state)?;
                continue;
            }
            let Some(letter) = self.peek(0) else {
                self.bodies(out)?;
                let whole = !in_brackets && state.parens == 0;
                return whole.then_some(());
            };
            match letter {
                '#' => self.gap(),
                '\n' => {
                    self.at += 1;
                    end(out, &mut state, ";");
                    self.bodies(out)?;
                }
                ';' | '|' => self.sign(out, &mut state),
                '&' if !self.looks_at("&>") => self.sign(out, &mut state),
                ')' => {
                    if state.parens == 0 {
                        let done = in_brackets && self.pending.is_empty();
                        self.at += 1;
                        return done.then_some(());
                    }
                    self.at += 1;
                    end(out, &mut state, "");
                    state.parens -= 1;
                    state.feeds.pop();
                    state.closed = true;
                }
                '(' => self.bracket(out, &mut state)?,
                '<' | '>' | '&' if self.peek(1) != Some('(') || letter == '&' => {
                    self.redirect(out, &mut state)?;
                }
                _ => {
                    let word = self.word(out)?;
                    self.take(word, out, &mut state)?;
                }
            }
        }
    }

    fn sign(&mut self, out: &mut Line, state: &mut State) {
        let signs = ["&&", "||", "|&", ";;&", ";;", ";&", ";", "&", "|"];
        let Some(sign) = signs.into_iter().find(|sign| self.skip(sign)) else { return };
        let piped = matches!(sign, "|" | "|&");
        let from = if state.closed { None } else { state.open };
        end(out, state, if piped { "|" } else { sign });
        if piped {
            state.next = Some(Feed::Pipe(from));
        }
        if sign.starts_with(";;") || sign == ";&" {
            state.pattern = state.cases > 0;
        }
    }

    /// An opening bracket: a subshell, arithmetic, or the end of a function's name.
    fn bracket(&mut self, out: &mut Line, state: &mut State) -> Option<()> {
        if let Some(open) = state.open {
            // `name()` begins a function.
            self.at += 1;
            self.blanks();
            let alone = out.commands.get(open).is_some_and(|command| command.words.len() == 1);
            if !alone || !self.skip(")") {
                return None;
            }
            out.commands.get_mut(open)?.words.clear();
            state.open = None;
            // It is not known what a function reads when it is called.
            state.next = Some(Feed::Pipe(None));
            return Some(());
        }
        if self.looks_at("((") && self.arithmetic(2)? {
            state.closed = true;
            return Some(());
        }
        self.at += 1;
        state.parens += 1;
        open_compound(state);
        Some(())
    }

    /// Reads `((...))` from its first bracket on; no when it is something else.
    pub(super) fn arithmetic(&mut self, brackets: usize) -> Option<bool> {
        let start = self.at;
        self.at += brackets;
        let mut depth = 0_usize;
        while let Some(letter) = self.peek(0) {
            self.at += 1;
            match letter {
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                ')' => {
                    let inner: String = self.letters.get(start + brackets..self.at - 1)?.iter().collect();
                    if !self.skip(")") {
                        break;
                    }
                    // A command within would have to be read.
                    return (!inner.contains("$(") && !inner.contains('`')).then_some(true);
                }
                _ => {}
            }
        }
        self.at = start;
        Some(false)
    }

    /// Reads the pattern of a `case`, or its end.
    fn case_pattern(&mut self, out: &mut Line, state: &mut State) -> Option<()> {
        self.gap();
        self.skip("(");
        loop {
            self.blanks();
            let word = self.word(out)?;
            if word.bare() == Some("esac") {
                state.cases -= 1;
                state.pattern = false;
                state.feeds.pop();
                state.closed = true;
                return Some(());
            }
            if word.pieces.is_empty() {
                return None;
            }
            self.blanks();
            if self.skip(")") {
                state.pattern = false;
                return Some(());
            }
            if !self.skip("|") {
                return None;
            }
        }
    }

    /// Takes a word as the next of the command under way, or as a word of the grammar.
    fn take(&mut self, word: Word, out: &mut Line, state: &mut State) -> Option<()> {
        if word.pieces.is_empty() {
            return None;
        }
        if state.open.is_none()
            && let Some(bare) = word.bare().map(str::to_owned)
            && self.reserved(&bare, out, state)?
        {
            return Some(());
        }
        // A number in front of a redirection says what is sent.
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if matches!(self.peek(0), Some('<' | '>')) && word.bare().is_some_and(number) {
            return Some(());
        }
        let open = open_command(out, state);
        if let Some((name, value, adds)) = word.assignment() {
            let is_list = word.bare().is_some_and(|text| text.ends_with('=')) && self.peek(0) == Some('(');
            let value = if is_list { self.elements(out)? } else { Value::Known(value) };
            let value = if adds { Value::Unknown } else { value };
            out.sets.push(Set { name: name.clone(), value });
            let command = out.commands.get_mut(open)?;
            if command.words.is_empty() || is_list {
                command.sets.push(name);
                return Some(());
            }
        }
        out.commands.get_mut(open)?.words.push(word);
        Some(())
    }

    /// The elements of a list, from its bracket on.
    fn elements(&mut self, out: &mut Line) -> Option<Value> {
        self.at += 1;
        let mut all = Vec::new();
        loop {
            self.gap();
            if self.skip(")") {
                return Some(Value::List(all));
            }
            let word = self.word(out)?;
            if word.pieces.is_empty() {
                return None;
            }
            all.push(word);
        }
    }

    /// Words of the grammar, where a command can begin.
    fn reserved(&mut self, bare: &str, out: &mut Line, state: &mut State) -> Option<bool> {
        match bare {
            "if" | "while" | "until" | "{" => open_compound(state),
            "then" | "else" | "elif" | "do" | "!" => {}
            "time" => {
                self.blanks();
                self.skip("-p ");
            }
            "coproc" => {
                self.blanks();
                let start = self.at;
                let named = !self.name().is_empty();
                self.blanks();
                if !named || !matches!(self.peek(0), Some('{' | '(')) {
                    self.at = start;
                }
            }
            "fi" | "done" | "}" => {
                state.feeds.pop();
                state.closed = true;
            }
            "for" | "select" => {
                open_compound(state);
                self.blanks();
                if self.looks_at("((") {
                    return self.arithmetic(2)?.then_some(true);
                }
                let name = self.word(out)?;
                let mut value = Value::Unknown;
                self.gap();
                if self.peek(0) != Some(';') {
                    let word = self.word(out)?;
                    match word.bare() {
                        Some("in") => value = Value::Each(self.words_of_loop(out)?),
                        Some("do") => {}
                        _ => return None,
                    }
                }
                out.sets.push(Set { name: name.bare()?.to_owned(), value });
            }
            "case" => {
                open_compound(state);
                self.blanks();
                self.word(out)?;
                self.gap();
                (self.word(out)?.bare() == Some("in")).then_some(())?;
                state.cases += 1;
                state.pattern = true;
            }
            "function" => {
                self.blanks();
                self.word(out)?.bare()?;
                self.blanks();
                if self.skip("(") {
                    self.blanks();
                    self.skip(")").then_some(())?;
                }
                state.next = Some(Feed::Pipe(None));
            }
            "[[" => self.condition(out, state)?,
            _ => return Some(false),
        }
        Some(true)
    }

    fn words_of_loop(&mut self, out: &mut Line) -> Option<Vec<Word>> {
        let mut all = Vec::new();
        loop {
            self.blanks();
            if matches!(self.peek(0), None | Some(';' | '\n' | '#')) {
                return Some(all);
            }
            let word = self.word(out)?;
            if word.pieces.is_empty() {
                return None;
            }
            all.push(word);
        }
    }

    /// `[[ ... ]]`, in which signs and brackets are no grammar.
    fn condition(&mut self, out: &mut Line, state: &mut State) -> Option<()> {
        loop {
            self.gap();
            let word = self.word(out)?;
            if word.bare() == Some("]]") {
                state.closed = true;
                return Some(());
            }
            if word.pieces.is_empty() {
                self.peek(0)?;
                self.at += 1;
            }
        }
    }

    fn redirect(&mut self, out: &mut Line, state: &mut State) -> Option<()> {
        let signs = ["<<<", "<<-", "<<", "<&", "<>", "<", "&>>", "&>", ">>", ">&", ">|", ">"];
        let sign = signs.into_iter().find(|sign| self.skip(sign))?;
        self.blanks();
        // Behind a compound it is for all that is in it.
        let open = if state.closed { None } else { Some(open_command(out, state)) };
        if matches!(sign, "<<" | "<<-") {
            let (delimiter, quoted) = self.delimiter()?;
            let command = open.unwrap_or(usize::MAX);
            if open.is_none() {
                fed(out);
            }
            self.pending.push(Pending { command, delimiter, tabs: sign == "<<-", quoted });
            return Some(());
        }
        let target = self.word(out)?;
        if target.pieces.is_empty() {
            return None;
        }
        let feed = match sign {
            "<<<" => Feed::Text(target),
            "<" if target.pieces.contains(&Piece::Made) => Feed::Pipe(None),
            "<" | "<>" => Feed::File,
            _ => return Some(()),
        };
        match open.and_then(|open| out.commands.get_mut(open)) {
            Some(command) => command.input = feed,
            None => fed(out),
        }
        Some(())
    }

    fn delimiter(&mut self) -> Option<(String, bool)> {
        let (mut text, mut quoted) = (String::new(), false);
        while let Some(letter) = self.peek(0) {
            match letter {
                '\'' | '"' => {
                    quoted = true;
                    self.at += 1;
                    while self.peek(0)? != letter {
                        text.extend(self.peek(0));
                        self.at += 1;
                    }
                }
                '\\' => {
                    quoted = true;
                    self.at += 1;
                    text.extend(self.peek(0));
                }
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                _ => text.push(letter),
            }
            self.at += 1;
        }
        (!text.is_empty() || quoted).then_some((text, quoted))
    }

    /// Reads the here-documents that begin on this line.
    fn bodies(&mut self, out: &mut Line) -> Option<()> {
        for pending in take(&mut self.pending) {
            let mut body = Vec::new();
            while self.at < self.letters.len() {
                let rest = self.letters.get(self.at..)?;
                let end = rest.iter().position(|&letter| letter == '\n').unwrap_or(rest.len());
                let line = rest.get(..end)?;
                self.at = (self.at + end + 1).min(self.letters.len());
                let tabs =
                    if pending.tabs { line.iter().take_while(|letter| **letter == '\t').count() } else { 0 };
                let line = line.get(tabs..)?;
                if line.iter().copied().eq(pending.delimiter.chars()) {
                    break;
                }
                body.extend_from_slice(line);
                body.push('\n');
            }
            let mut word = Word::default();
            if pending.quoted {
                body.iter().for_each(|&letter| word.push_text(letter, true));
            } else {
                let mut inner = Self { letters: body, depth: self.depth, ..Self::default() };
                inner.quoted(None, out, &mut word)?;
            }
            if let Some(command) = out.commands.get_mut(pending.command) {
                command.input = Feed::Text(word);
            }
        }
        Some(())
    }
}

/// The command under way, which begins here if there is none.
fn open_command(out: &mut Line, state: &mut State) -> usize {
    *state.open.get_or_insert_with(|| {
        let inherited = state.feeds.last().cloned().unwrap_or_default();
        let input = state.next.take().unwrap_or(inherited);
        out.commands.push(Command { input, list: state.list, ..Command::default() });
        state.closed = false;
        out.commands.len() - 1
    })
}

/// A compound reads a text: whatever in it reads nothing else may read that.
fn fed(out: &mut Line) {
    for command in &mut out.commands {
        if matches!(command.input, Feed::Nothing) {
            command.input = Feed::Pipe(None);
        }
    }
}

/// Ends the command under way.
fn end(out: &mut Line, state: &mut State, sign: &'static str) {
    if let Some(open) = state.open.take() {
        state.last = Some(open);
    }
    state.closed = false;
    let last = state.last.and_then(|last| out.commands.get_mut(last));
    if let Some(command) = last.filter(|command| command.after.is_empty()) {
        command.after = sign;
    }
}

fn open_compound(state: &mut State) {
    let inherited = state.feeds.last().cloned().unwrap_or_default();
    let feed = state.next.take().unwrap_or(inherited);
    // Whoever is first in it reads what the others leave.
    state.feeds.push(match feed {
        Feed::Pipe(_) => Feed::Pipe(None),
        other => other,
    });
}
