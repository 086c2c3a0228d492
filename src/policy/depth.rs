//! How deep the expressions of a Cedar file go: they are read, checked and evaluated by recursion, and a
//! thread has only so much stack.

use crate::limits;

/// Where a file goes deeper than is taken, in bytes from its beginning, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDeep {
    pub(super) at: usize,
    pub(super) text: String,
}

/// What is counted of one policy.
#[derive(Default)]
struct Depth {
    brackets: usize,
    operators: usize,
    /// Members one after the other: `a.b.c`.
    dots: usize,
}

/// Looks for the first policy that goes too deep. It knows no more of the language than its strings, comments
/// and signs: each operator may be one level more, and none can be more than that.
pub(super) fn too_deep(text: &str) -> Option<TooDeep> {
    let mut depth = Depth::default();
    let mut signs = text.bytes().enumerate().peekable();
    while let Some((at, sign)) = signs.next() {
        let next = signs.peek().map(|(_, next)| *next);
        match sign {
            b'"' => {
                while let Some((_, sign)) = signs.next() {
                    match sign {
                        b'\\' => {
                            signs.next();
                        }
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'/' if next == Some(b'/') => while signs.next_if(|(_, sign)| *sign != b'\n').is_some() {},
            b';' => depth = Depth::default(),
            b'(' | b'[' | b'{' => depth.brackets += 1,
            b')' | b']' | b'}' => depth.brackets = depth.brackets.saturating_sub(1),
            b'.' => depth.dots += 1,
            b'|' | b'&' if next == Some(sign) => {
                signs.next();
                depth.operator();
            }
            b'+' | b'-' | b'*' => depth.operator(),
            b',' | b'=' | b'<' | b'>' => depth.dots = 0,
            b'a'..=b'z' => {
                let mut end = at + 1;
                while signs.next_if(|(_, sign)| sign.is_ascii_alphanumeric() || *sign == b'_').is_some() {
                    end += 1;
                }
                if matches!(text.get(at..end), Some("if" | "when" | "unless")) {
                    depth.operator();
                }
            }
            _ => {}
        }
        if let Some(text) = depth.fault() {
            return Some(TooDeep { at, text });
        }
    }
    None
}

impl Depth {
    fn operator(&mut self) {
        self.operators += 1;
        self.dots = 0;
    }

    fn fault(&self) -> Option<String> {
        let most = limits::POLICY_BRACKETS_MAX;
        if self.brackets > most {
            return Some(format!("brackets in brackets, more than {most} of them: write several policies"));
        }
        let most = limits::POLICY_OPERATORS_MAX;
        if self.operators > most {
            return Some(format!(
                "more than {most} operators and conditions in one policy: write several policies, or what is \
                 compared as one set, such as `[\"a\", \"b\"].contains(principal.key)`"
            ));
        }
        let most = limits::POLICY_MEMBERS_MAX;
        (self.dots > most).then(|| format!("more than {most} members one after the other"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(clause: &str) -> String {
        format!("// one; (of many\npermit (principal, action, resource) when {{ {clause} }};\n")
    }

    #[test]
    fn depth_is_counted_and_strings_and_comments_are_not() {
        let joined = |sign: &str, count: usize| vec!["true"; count].join(sign);
        let taken = [
            joined(" || ", limits::POLICY_OPERATORS_MAX),
            joined(" && ", limits::POLICY_OPERATORS_MAX),
            format!("[{}].contains(principal.key)", vec!["\"a.b.c || (\\\" (((\""; 5000].join(", ")),
            format!("principal{}", ".a".repeat(limits::POLICY_MEMBERS_MAX)),
            vec!["principal.key == \"k\""; limits::POLICY_OPERATORS_MAX].join(" || "),
        ];
        for clause in &taken {
            assert_eq!(too_deep(&policy(clause)), None, "{clause}");
            assert_eq!(too_deep(&policy(clause).repeat(3)), None, "each policy for itself");
        }
        let brackets = limits::POLICY_BRACKETS_MAX;
        for (clause, word) in [
            (joined("||", limits::POLICY_OPERATORS_MAX + 1), "operators"),
            (joined(" + ", limits::POLICY_OPERATORS_MAX + 1), "operators"),
            (format!("{}true{}", "(".repeat(brackets), ")".repeat(brackets)), "brackets"),
            (format!("{}1{} == 1", "{a: ".repeat(brackets), "}".repeat(brackets)), "brackets"),
            ("if true then ".repeat(limits::POLICY_OPERATORS_MAX), "operators"),
            (format!("principal{}", ".a".repeat(limits::POLICY_MEMBERS_MAX + 1)), "members"),
        ] {
            let (good, bad) = (policy("true"), policy(&clause));
            let found = too_deep(&format!("{good}{bad}")).unwrap_or_else(|| panic!("{clause}"));
            assert!(found.at > good.len() && found.text.contains(word), "{clause}: {found:?}");
        }
    }

    #[test]
    fn what_does_not_end_ends() {
        for text in ["\"", "\"\\", "//", "permit (", ")))", "ł\"ł", ""] {
            assert_eq!(too_deep(text), None, "{text}");
        }
    }
}
