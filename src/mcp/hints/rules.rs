//! Turns of phrase that address the model instead of describing a tool.
//!
//! A rule is a row of groups of words, to be found in this order in one sentence, all of them within some
//! number of words. `|` stands between words of a group, `*` after a word for any ending.

use std::sync::LazyLock;

use crate::mcp::hints::Found;
use crate::mcp::hints::HintKind::{self, Credentials, Exfiltration, Instruction, Secrecy, Shadowing};

/// A rule, made ready.
struct Rule {
    kind: HintKind,
    /// Words between the first and the last, both included.
    within: usize,
    groups: Vec<Vec<Word>>,
}

struct Word {
    text: &'static str,
    begins: bool,
}

impl Word {
    fn fits(&self, word: &str) -> bool {
        if self.begins { word.starts_with(self.text) } else { word == self.text }
    }
}

/// Looks for all of them in a text that has been folded.
pub(super) fn look(place: &str, folded: &str, found: &mut Found) {
    for (kind, text) in TEXTS {
        if let Some(at) = folded.find(text) {
            found.add(*kind, place, folded.get(at..).unwrap_or_default());
        }
    }
    for sentence in sentences(folded) {
        let words = words(sentence);
        for rule in RULES.iter() {
            if fits(rule, &words) {
                found.add(rule.kind, place, sentence.trim());
            }
        }
    }
}

/// Cuts at the ends of sentences and paragraphs.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let ends = [". ", ".\n", "! ", "!\n", "? ", "?\n", "\n\n", "\r\n\r\n"];
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let now = rest?;
        let cut = ends.iter().filter_map(|end| Some(now.find(end)? + end.len())).min();
        let (sentence, after) = cut.and_then(|cut| now.split_at_checked(cut)).unwrap_or((now, ""));
        rest = (!after.is_empty()).then_some(after);
        Some(sentence)
    })
}

/// Its words: letters and digits, without apostrophes; an address is one word.
fn words(sentence: &str) -> Vec<String> {
    let mut out = Vec::new();
    for chunk in sentence.split_whitespace() {
        if chunk.contains("://") || (chunk.contains('@') && chunk.contains('.')) {
            out.push(if chunk.contains("://") { "<url>" } else { "<mail>" }.to_owned());
            continue;
        }
        let bare: String = chunk.chars().filter(|c| !matches!(c, '\'' | '’' | '`' | '*')).collect();
        out.extend(bare.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(plain));
    }
    out
}

/// Digits in the place of letters are read as letters, where there are letters as well.
fn plain(word: &str) -> String {
    let mixed = word.chars().any(|c| c.is_ascii_digit()) && word.chars().any(char::is_alphabetic);
    if !mixed {
        return word.to_owned();
    }
    let read = |c: char| match c {
        '0' => 'o',
        '1' => 'i',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '7' => 't',
        other => other,
    };
    word.chars().map(read).collect()
}

fn fits(rule: &Rule, words: &[String]) -> bool {
    let Some((first, others)) = rule.groups.split_first() else { return false };
    let any = |group: &[Word], word: &String| group.iter().any(|one| one.fits(word));
    (0..words.len()).any(|start| {
        let window = words.get(start..).unwrap_or_default();
        let window = window.get(..rule.within.min(window.len())).unwrap_or_default();
        let Some((head, tail)) = window.split_first() else { return false };
        if !any(first, head) {
            return false;
        }
        let mut rest = tail.iter();
        others.iter().all(|group| rest.any(|word| any(group, word)))
    })
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let word = |text: &'static str| match text.strip_suffix('*') {
        Some(text) => Word { text, begins: true },
        None => Word { text, begins: false },
    };
    let groups =
        |phrase: &'static str| phrase.split(' ').map(|group| group.split('|').map(word).collect()).collect();
    let made = PHRASES.iter().map(|(kind, within, phrase)| Rule {
        kind: *kind,
        within: *within,
        groups: groups(phrase),
    });
    made.collect()
});

/// Pieces of text that say it all.
const TEXTS: &[(HintKind, &str)] = &[
    (Instruction, "<important"),
    (Instruction, "<system"),
    (Instruction, "</system"),
    (Instruction, "<instruction"),
    (Instruction, "<secret"),
    (Instruction, "<|im_"),
    (Instruction, "<|system"),
    (Instruction, "[inst]"),
    (Instruction, "[system]"),
    (Instruction, "### system"),
    (Instruction, "system prompt:"),
    (Instruction, "system:\n"),
    (Instruction, "jailbreak"),
    (Credentials, ".ssh/"),
    (Credentials, "~/.ssh"),
    (Credentials, "id_rsa"),
    (Credentials, "id_ed25519"),
    (Credentials, ".aws/cred"),
    (Credentials, "/etc/passwd"),
    (Credentials, "/etc/shadow"),
    (Credentials, "/proc/self/environ"),
    (Credentials, ".netrc"),
    (Credentials, ".npmrc"),
    (Credentials, ".pgpass"),
    (Credentials, ".git-credentials"),
    (Credentials, ".kube/config"),
    (Credentials, ".docker/config"),
    (Credentials, ".gnupg"),
    (Credentials, ".bash_history"),
    (Credentials, ".zsh_history"),
    (Credentials, ".claude.json"),
    (Credentials, ".claude/"),
    (Credentials, ".cursor/"),
    (Credentials, "claude_desktop_config"),
    (Credentials, "wallet.dat"),
    (Credentials, "seed phrase"),
    (Credentials, "login.keychain"),
    (Exfiltration, "![](http"),
    (Exfiltration, "webhook.site"),
    (Exfiltration, "requestbin"),
    (Exfiltration, "ngrok.io"),
    (Exfiltration, "pastebin.com"),
];

/// Turns of phrase: what for, within how many words, and the groups.
const PHRASES: &[(HintKind, usize, &str)] = &[
    // Orders to the model.
    (
        Instruction,
        9,
        "ignore|disregard|forget|override|overrule|discard|bypass|drop|supersede* \
         previous|prior|above|earlier|preceding|system|all|any|your|other|existing|safety|security \
         instruction*|prompt*|rule*|guideline*|directive*|polic*|guardrail*|restriction*|said|told",
    ),
    (Instruction, 7, "instruction*|rule*|guideline*|directive* above|before|earlier|previous* no|not|void"),
    (
        Instruction,
        6,
        "before|prior using|calling|invoking|running|executing|use|call this|any|other|every tool*",
    ),
    (
        Instruction,
        8,
        "before|after|when|whenever|each|every|any|once other|another|any tool*|function* \
         call*|use*|invo*|run*|execut*",
    ),
    (Instruction, 4, "you are|become now|henceforth"),
    (Instruction, 5, "from|starting now|here|this on|onwards|onward|forward"),
    (Instruction, 5, "act|behave|respond|pretend|roleplay as|like|to a|an|the|be"),
    (Instruction, 6, "new|updated|real|actual|true|hidden|secret|special instruction*|objective*|directive*"),
    (
        Instruction,
        8,
        "note|notice|attention|message|instruction*|reminder to|for \
         assistant*|ai|llm*|model*|agent*|claude|gpt",
    ),
    (
        Instruction,
        7,
        "assistant|ai|llm|agent|claude|model must|shall|always|has|needs|is to|first|call|read|\
         send|run|include|execute|required|instructed",
    ),
    (
        Instruction,
        7,
        "always|first|must|immediately execute|run|eval|invoke following|this|these \
         command*|script*|code|shell",
    ),
    (Instruction, 8, "curl|wget|bash|sh|powershell|eval <url>|base64|pipe|sh|bash"),
    (
        Instruction,
        8,
        "without|skip*|bypass*|disable*|no asking|confirm*|permission*|approval*|consent|\
         verif*|validat*|safety prior|the|from|first|step*|check*|by|with|of|check",
    ),
    (Instruction, 6, "comply|obey|follow these|the|this exactly|instruction*|order*|command*"),
    (
        Instruction,
        7,
        "otherwise|or|else|not tool|system|everything|account|it will|would|may|can \
         fail|crash|break|delete*|terminate*|banned|corrupt*|stop",
    ),
    (
        Instruction,
        5,
        "critical|mandatory|urgent|emergency system|security|compliance|protocol|requirement|\
         instruction*|step|override|update",
    ),
    // The user is not to know.
    (
        Secrecy,
        7,
        "not|dont|never|avoid|without|refrain|cannot|no \
         tell*|inform*|mention*|reveal*|notif*|disclos*|show*|let*|alert*|explain*|report*|discuss*|display*|\
         warn*|say*|ask*|bother*|expose* \
         user*|human*|anyone|anybody|person|operator*|customer*|them|it|this|developer*",
    ),
    (
        Secrecy,
        6,
        "user*|human*|developer*|operator* not|never|wont|doesnt|dont|shouldnt|neednt|cannot|unaware \
         know*|see*|notice*|aware|find|need|read|told|informed|notified|of",
    ),
    (
        Secrecy,
        5,
        "keep|stay|remain this|it|that|everything|completely|these \
         secret*|hidden|confidential|silent|private|quiet|invisible",
    ),
    (
        Secrecy,
        5,
        "silently|quietly|secretly|covertly|discreetly|stealthily|invisibly \
         send*|read*|cop*|upload*|forward*|includ*|add*|call*|post*|run*|execut*|append*|collect*|bcc|\
         attach*|record*|log*|pass*|transmit*|invoke*|store*|fetch*|perform*|do",
    ),
    (
        Secrecy,
        8,
        "hide|conceal|omit|mask this|it|the|that|any|all from|in user*|human*|output|response|answer|\
         summary|log*|conversation",
    ),
    (
        Secrecy,
        5,
        "behind|without user*|their|his|the|knowledge|back|anyone back|knowledge|noticing|awareness|\
         knowing",
    ),
    (Secrecy, 6, "pretend|claim|act|lie|say that|as|it|to nothing|was|if|did|never|happened|normal*"),
    (
        Secrecy,
        6,
        "no|not|without need|necessary|point|reason|asking|waiting to|for mention|tell|user*|confirm*|\
         approval|consent|explain",
    ),
    // What opens something.
    (
        Credentials,
        10,
        "read*|open*|cat|include|provide|pass|send|cop*|attach|paste|extract|dump|fetch|collect|gather|\
         append|put|find|locate|retrieve|list|print|harvest|grab|load|steal \
         all|your|users|local|content*|any|every|stored|saved|available|developers|environment|value*|whole \
         password*|credential*|secret*|cookie*|passphrase*|privatekey*|dotenv|env|keychain|variables|tokens|\
         keys",
    ),
    (
        Credentials,
        5,
        "content*|text|value|bytes from|of reading|ssh|env|environ*|credential*|secret*|\
         password*|rsa|passwd",
    ),
    (
        Credentials,
        6,
        "read*|open*|cat|load|print|dump|include|attach private|ssh|gpg|pgp|aws|api|session|access|\
         auth* key*|credential*|cookie*|token*|secret*|config",
    ),
    (
        Credentials,
        5,
        "ssh|rsa|private|env|shadow key|keys|file|files|variables contents|content|data|value|into",
    ),
    // On its way out.
    (
        Exfiltration,
        12,
        "send*|forward*|post|upload*|transmit*|exfiltrat*|leak*|cop*|email*|bcc|report|submit|append*|\
         includ*|pass*|put|attach*|paste*|embed*|encode*|provide|summar*|write|add|\
         share|repeat|insert|supply|relay \
         full|entire|whole|complete|all|previous|prior|above|verbatim|current|users|your|this|preceding|\
         everything|raw|recent|last \
         conversation*|transcript*|chat|context|prompt*|dialog*|reasoning|discussion|thoughts|said",
    ),
    (
        Exfiltration,
        9,
        "send*|forward*|post|upload*|transmit*|exfiltrat*|leak*|cop*|relay|mirror|report|submit|\
         share|deliver|ping|beacon to|at|via|towards <url>|<mail>|attacker*|remote|external|following|our|\
         collector|endpoint",
    ),
    (
        Exfiltration,
        6,
        "bcc|cc always|every|<mail>|also|all|message*|mail*|email* <mail>|address|to|message*|\
         mail*|email*",
    ),
    (
        Exfiltration,
        5,
        "system|developer|hidden|initial prompt*|message|instructions verbatim|here|into|in|as|\
         parameter|argument|field|value|completely",
    ),
    (
        Exfiltration,
        8,
        "conversation*|chat|dialog* history|so|log|transcript|up far|here|into|as|in|\
         verbatim|to|goes|belongs",
    ),
    (Exfiltration, 3, "conversation|chat|full|system|previous history|prompt|transcript"),
    // In the place of others.
    (
        Shadowing,
        7,
        "instead|rather|replaces|replacing|place|over|than of|than|all|the|other|any|using \
         other|another|any|existing|official|original|builtin|built|default tool*|server*|function*|one*",
    ),
    (
        Shadowing,
        7,
        "not|never|dont|avoid|stop use|call|using|invoke|trust|calling other|another|any|official|\
         original|default|old|existing tool*|server*|function*|version*",
    ),
    (
        Shadowing,
        8,
        "other|another tool*|server*|function* deprecated|unsaf*|broken|obsolete|compromised|\
         disabled|removed|unavailable|outdated|insecure|unreliable",
    ),
    (
        Shadowing,
        8,
        "always|must|only|exclusively use|call|prefer|choose|pick|select this tool|function|one|\
         instead|server",
    ),
    (
        Shadowing,
        8,
        "when*|if|each|every|any|before|after other|another|send|email|mail|payment|file|shell|bash|\
         browser|git|slack|write|edit tool*|server* called|used|invoked|call*|use*|run*|change|set|replace",
    ),
    (Shadowing, 7, "takes|has|take|give|with|highest|top precedence|priority|preference over|above|than"),
    (
        Shadowing,
        8,
        "change|modify|rewrite|redirect|replace|set|alter|switch recipient*|address*|argument*|\
         parameter*|destination*|to|amount|account|target of|to|for|in|when|into any|all|every|other|<mail>|\
         another|attacker*",
    ),
];
