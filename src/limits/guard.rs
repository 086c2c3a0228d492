//! Bounds of the rules about inputs of tools and of looking for what should not be said.

/// Rules about inputs of tools in one list of the config. A dozen is usual; each is tried on every use that
/// its tool fits.
pub const INPUT_RULES_MAX: usize = 64;

/// Bytes of one such rule. A regular expression of a line fits.
pub const INPUT_RULE_BYTES_MAX: usize = 1024;

/// Patterns of paths or hosts in one rule.
pub const INPUT_RULE_PATTERNS_MAX: usize = 32;

/// Bytes that one regular expression may take when compiled, and again for the states that it makes as it
/// runs: classes of Unicode letters take tens of kilobytes.
pub const INPUT_REGEX_BYTES_MAX: usize = 512 * 1024;

/// Levels of brackets that a regular expression may have.
pub const INPUT_REGEX_DEPTH_MAX: u32 = 32;

/// Bytes of the input of a tool that is judged; a longer one counts as denied. The longest answers of models
/// have about 500 KiB of text.
pub const JUDGED_INPUT_BYTES_MAX: usize = 1024 * 1024;

/// Levels of an input that are looked into.
pub const JUDGED_DEPTH_MAX: usize = 32;

/// Texts of an input that are looked at, members and elements together.
pub const JUDGED_TEXTS_MAX: usize = 4096;

/// Words of an input that may be hosts.
pub const JUDGED_HOSTS_MAX: usize = 16 * 1024;

/// Levels of commands inside of commands, as in `bash -c "bash -c ..."`.
pub const COMMAND_DEPTH_MAX: usize = 6;

/// Bytes of all forms in which the commands of one line are tried.
pub const COMMAND_FORMS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Variables of a command line whose values are known.
pub const COMMAND_VARIABLES_MAX: usize = 64;

/// Uses of tools in one answer that may be under way at once, and that may be denied; in an answer with more
/// every one counts as denied. Models write one after the other, and a dozen in an answer.
pub const JUDGED_USES_MAX: usize = 256;

/// Bytes of the event that says what the safeguards have found, as far as it is held to be changed. It has
/// about 150 for each use.
pub const GUARDED_EVENT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of an answer that is one document and is held to be changed.
pub const GUARDED_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of marks in an entry. Ten rules and ten kinds of finds fit.
pub const MARKS_BYTES_MAX: usize = 480;

/// Paths that the braces of one pattern may stand for, as in `{src,tests}/**`; a pattern with more may lie
/// anywhere.
pub const PATH_CHOICES_MAX: usize = 64;

/// Values of a variable of a command line that are tried one by one, and forms of a command that they make;
/// where there are more, the value counts as not known.
pub const COMMAND_VALUES_MAX: usize = 32;

/// Commands, scripts and forms of them that are looked at in one command line; one with more is not judged. A
/// long script has a hundred.
pub const COMMAND_STEPS_MAX: usize = 4096;

/// Letters of a text times states of an expression that are gone through to tell whether it could match by
/// what is not known: a hundredth of a second.
pub const OUTLINE_STEPS_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a text, as it is written, that is looked through for secrets and personal data: nothing that is
/// found is shorter.
pub const SCANNED_BYTES_MIN: usize = 6;

/// Bytes without a blank from which on a text may be Base64: the shortest image has as many.
pub const ENCODED_BYTES_MIN: usize = 64;
