//! What a command line is made of: its commands and their words, with quotes taken off.

use std::iter::Peekable;
use std::str::Chars;

/// Programs that run the program named behind them, and words of the shell that a command follows.
pub(crate) const RUNNERS: &[&str] = &[
    "!", "command", "do", "doas", "elif", "else", "env", "exec", "if", "nice", "nohup", "sudo", "then",
    "time", "timeout", "until", "while", "xargs", "{",
];

/// Whether a text may name a variable.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A word with its quotes taken off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Word {
    /// What it says.
    pub(crate) text: String,
    /// It was written without quotes, escapes and variables.
    pub(crate) bare: bool,
    /// The shell may make other words of it: it begins with a variable, a pattern or braces, or is an option
    /// with some in it.
    pub(crate) expands: bool,
}

impl Word {
    /// The program that it names, without its folder.
    pub(crate) fn program(&self) -> &str {
        self.text.rsplit_once('/').map_or(self.text.as_str(), |(_, name)| name)
    }

    /// Whether it is an option, and not the dash alone.
    pub(crate) fn is_option(&self) -> bool {
        self.text.starts_with('-') && self.text.len() > 1
    }

    /// Whether it is a group of short options with one of these among them.
    pub(crate) fn has_letter(&self, letters: &[char]) -> bool {
        self.is_option() && !self.text.starts_with("--") && self.text.contains(letters)
    }
}

/// A line taken apart.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Its commands, some of them without words.
    pub(crate) commands: Vec<Vec<Word>>,
    /// The sign behind each command but the last; of a quote that begins one, the quote.
    pub(crate) signs: Vec<char>,
    /// Something is written to a file that a redirection names.
    pub(crate) writes: bool,
    /// There may be commands that were not seen.
    pub(crate) hidden: bool,
    /// The lines behind the first one that has a here-document, which are not taken apart.
    pub(crate) rest: String,
}

impl Script {
    /// Takes a line, or several, apart.
    pub(crate) fn read(line: &str) -> Self {
        let mut script = Self { commands: vec![Vec::new()], ..Self::default() };
        let mut word: Option<Word> = None;
        let mut letters = line.chars().peekable();
        let mut quoted = false;
        while let Some(letter) = letters.next() {
            match letter {
                '"' => {
                    quoted = !quoted;
                    begun(&mut word).bare = false;
                }
                '\'' if !quoted => {
                    let held = begun(&mut word);
                    held.bare = false;
                    held.text.extend(letters.by_ref().take_while(|&letter| letter != '\''));
                }
                '\\' if letters.next_if_eq(&'\n').is_some() => {}
                '\\' => {
                    let held = begun(&mut word);
                    held.bare = false;
                    held.text.extend(letters.next());
                }
                '`' | '$' if letter == '`' || letters.peek() == Some(&'(') => {
                    script.hidden = true;
                    script.end_command(&mut word, letter);
                }
                '$' if !quoted && letters.next_if_eq(&'\'').is_some() => {
                    let held = begun(&mut word);
                    held.bare = false;
                    held.expands |= held.text.is_empty() || held.text.starts_with('-');
                    escaped(&mut letters, &mut held.text);
                }
                '$' | '{' | '*' | '?' | '[' if !quoted || letter == '$' => {
                    let held = begun(&mut word);
                    held.bare = false;
                    held.expands |= held.text.is_empty() || held.text.starts_with('-');
                    // `${x:=y}` sets a variable, and the text of it may run.
                    script.hidden |= letter == '$' && letters.peek() == Some(&'{');
                    held.text.push(letter);
                }
                '#' if !quoted && word.is_none() => {
                    while letters.next_if(|&letter| letter != '\n').is_some() {}
                }
                _ if quoted => begun(&mut word).text.push(letter),
                ' ' | '\t' => script.end_word(&mut word),
                '\n' | ';' | '|' | '&' | '(' | ')' => script.end_command(&mut word, letter),
                '<' if letters.peek() == Some(&'<') => {
                    // What follows on the next lines is text, and may look like commands.
                    script.hidden = true;
                    let rest: String = letters.by_ref().take_while(|&letter| letter != '\n').collect();
                    script.writes |= rest.contains('>');
                    // What stands beside the sign on its line is still the command's.
                    script.rest = rest + "\n" + &letters.by_ref().collect::<String>();
                    script.end_command(&mut word, letter);
                    break;
                }
                '<' => {
                    script.hidden |= letters.peek() == Some(&'(');
                    script.end_word(&mut word);
                }
                '>' => {
                    // A number in front of it says what is sent, and is no word of the command.
                    word = word.take().filter(|held| !held.text.bytes().all(|byte| byte.is_ascii_digit()));
                    script.end_word(&mut word);
                    script.writes |= !goes_nowhere(&mut letters);
                }
                '\r' => script.hidden = true,
                _ => begun(&mut word).text.push(letter),
            }
        }
        script.end_word(&mut word);
        script.hidden |= quoted;
        script
    }

    fn end_word(&mut self, word: &mut Option<Word>) {
        if let (Some(word), Some(command)) = (word.take(), self.commands.last_mut()) {
            command.push(word);
        }
    }

    fn end_command(&mut self, word: &mut Option<Word>, sign: char) {
        self.end_word(word);
        self.commands.push(Vec::new());
        self.signs.push(sign);
    }
}

/// The word under way.
fn begun(word: &mut Option<Word>) -> &mut Word {
    word.get_or_insert_with(|| Word { bare: true, ..Word::default() })
}

/// Reads the target of a redirection from behind its sign: whether it is `/dev/null` or another descriptor.
fn goes_nowhere(letters: &mut Peekable<Chars<'_>>) -> bool {
    while letters.next_if(|letter| matches!(letter, '>' | '|' | ' ' | '\t')).is_some() {}
    let to_descriptor = letters.next_if_eq(&'&').is_some();
    let mut target = String::new();
    while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace() && !";|&()<>".contains(*letter))
    {
        target.push(letter);
    }
    if to_descriptor {
        return !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    }
    target == "/dev/null"
}

/// Reads what stands in `$'...'`, from behind its opening quote.
fn escaped(letters: &mut Peekable<Chars<'_>>, text: &mut String) {
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => return,
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('x') => text.extend(number(letters, 16, 2, 0)),
                Some('u') => text.extend(number(letters, 16, 4, 0)),
                Some('U') => text.extend(number(letters, 16, 8, 0)),
                Some(digit @ '0'..='7') => {
                    text.extend(number(letters, 8, 2, digit.to_digit(8).unwrap_or_default()));
                }
                Some(other) => text.push(other),
                None => {}
            },
            _ => text.push(letter),
        }
    }
}

/// A letter by its number, of at most `most` digits behind those that make `begun`.
fn number(letters: &mut Peekable<Chars<'_>>, radix: u32, most: usize, begun: u32) -> Option<char> {
    let mut number = begun;
    for _ in 0..most {
        let Some(digit) = letters.next_if(|letter| letter.is_digit(radix)) else { break };
        number = number.wrapping_mul(radix).wrapping_add(digit.to_digit(radix).unwrap_or_default());
    }
    char::from_u32(number)
}
