//! `tollgate tools trim`: what results of tools take of a prompt, as they came and made smaller.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path as FilePath;

use serde::Serialize;

use crate::cli::args::ToolsTrim;
use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, thousands};
use crate::clock;
use crate::json::{self, Kind};
use crate::limits;
use crate::mcp::fault::Fault;
use crate::mcp::lean::results::{self, BadPath, Caps, Digest, Origin, Path, Rule, Texts};
use crate::mcp::message;
use crate::net::terminal;
use crate::tokens::count;

/// Counts the results of some files in each form.
pub(crate) fn run(wish: &ToolsTrim, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut forms = forms(wish)?;
    for file in &wish.files {
        read(file, &mut forms)?;
    }
    if forms.iter().any(|form| form.tokens.is_empty()) {
        return Err(Failure::Refused(
            "the files hold no result; each line is the result of a tools/call".into(),
        ));
    }
    if wish.json {
        return output.json(&all(&mut forms));
    }
    output.text(&shown(&mut forms, terminal::columns()))
}

/// A form of results.
#[derive(Debug)]
struct Form {
    name: String,
    /// What is done to results; nothing for as they came.
    rule: Option<Rule>,
    changed: usize,
    /// Of each result.
    tokens: Vec<usize>,
    /// What the session of the file was given.
    texts: Texts,
}

impl Form {
    fn new(name: &str, rule: Option<Rule>) -> Self {
        Self { name: name.to_owned(), rule, changed: 0, tokens: Vec::new(), texts: Texts::default() }
    }

    /// Begins another file, which is another session.
    fn begin(&mut self) {
        self.texts = Texts::default();
        self.texts.listed(true);
    }

    /// Counts one result.
    fn add(&mut self, result: &[u8]) -> Result<(), Fault> {
        let trimmed = match &self.rule {
            Some(rule) => trimmed(result, rule, &mut self.texts)?,
            None => None,
        };
        self.changed += usize::from(trimmed.is_some());
        self.tokens.push(count(&seen(trimmed.as_deref().unwrap_or(result))?));
        Ok(())
    }
}

/// Stands for the handle that a gateway would give, in as many characters.
const HANDLE: &str = "0123456789abcdef";

/// A result as the gateway would hand it on; nothing where it stays as it is.
fn trimmed(result: &[u8], rule: &Rule, texts: &mut Texts) -> Result<Option<Vec<u8>>, Fault> {
    let (origin, now) = (Origin::new("tool", ""), clock::now());
    let trimmed = {
        let earlier = |digest: &Digest| texts.earlier(digest, &origin, now);
        results::trim_in_session(result, rule, Some(&earlier))?
    };
    trimmed.given().iter().for_each(|digest| texts.give(*digest, &origin, now));
    trimmed.referred().iter().for_each(|(digest, _)| texts.refer(digest, HANDLE));
    if trimmed.is_unchanged() {
        return Ok(None);
    }
    let handles = vec![HANDLE; trimmed.kept().len()];
    trimmed.write(&handles).map(Some)
}

/// What a client shows its model of a result.
fn seen(result: &[u8]) -> Result<String, Fault> {
    let [content, structured] = message::pick(result, 0..result.len(), &["content", "structuredContent"])?;
    let structured = structured.filter(|value| matches!(value.kind, Kind::Array | Kind::Object));
    if let Some(structured) = structured {
        return Ok(String::from_utf8_lossy(result.get(structured.span).unwrap_or_default()).into_owned());
    }
    let mut texts = Vec::new();
    let Some(content) = content.filter(|content| content.kind == Kind::Array) else {
        return Ok(String::new());
    };
    json::elements(result, content.span, |block| {
        if block.kind == Kind::Object {
            let [text] = message::pick(result, block.span, &["text"])?;
            texts.extend(text.and_then(|text| message::text(result, text.span)));
        }
        Ok::<_, Fault>(())
    })?;
    Ok(texts.join("\n"))
}

/// What is compared.
fn forms(wish: &ToolsTrim) -> Result<Vec<Form>, Failure> {
    let paths = |texts: &[String]| -> Result<Vec<Path>, Failure> {
        if texts.len() > limits::RESULT_PATHS_MAX {
            return Err(Failure::Usage(format!("at most {} paths of a kind", limits::RESULT_PATHS_MAX)));
        }
        let read =
            |text: &String| Path::read(text).map_err(|why: BadPath| Failure::Usage(format!("{text}: {why}")));
        texts.iter().map(read).collect()
    };
    let number = |wished: Option<u64>| wished.and_then(|wished| usize::try_from(wished).ok());
    let small = Rule { minify: true, ..Rule::default() };
    let cut = |rows_max, bytes_max| Rule { caps: Caps { rows_max, bytes_max }, ..small.clone() };
    let asked = Rule {
        keep: paths(&wish.keep)?,
        drop: paths(&wish.drop)?,
        refer_bytes: number(wish.refer_bytes),
        ..cut(number(wish.max_rows), number(wish.max_bytes))
    };
    let mut forms = vec![Form::new("as they came", None), Form::new("minify", Some(small.clone()))];
    if asked.changes_values() || asked.refer_bytes.is_some() {
        forms.push(Form::new("as asked", Some(asked)));
    } else {
        forms.extend([8_000, 4_000].map(|most| {
            Form::new(&format!("minify, max_bytes {}", thousands(most)), Some(cut(None, Some(most))))
        }));
    }
    Ok(forms)
}

/// Counts every line of a file.
fn read(path: &FilePath, forms: &mut [Form]) -> Result<(), Failure> {
    let refused = |why: &dyn std::fmt::Display| Failure::Refused(format!("{}: {why}", path.display()));
    let mut file = BufReader::new(File::open(path).map_err(|why| refused(&why))?);
    let most = limits::MCP_MESSAGE_BYTES_MAX;
    let mut line = Vec::new();
    forms.iter_mut().for_each(Form::begin);
    for number in 1_usize.. {
        line.clear();
        let room = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let bytes = file.by_ref().take(room).read_until(b'\n', &mut line).map_err(|why| refused(&why))?;
        if bytes == 0 {
            return Ok(());
        }
        let result = line.trim_ascii();
        if result.is_empty() {
            continue;
        }
        if result.len() >= most || forms.iter().any(|form| form.tokens.len() >= limits::RESULTS_COUNTED_MAX) {
            let why = format!("line {number}: more than {most} bytes, or too many results");
            return Err(refused(&why));
        }
        for form in forms.iter_mut() {
            form.add(result).map_err(|why| refused(&format!("line {number}: {why}")))?;
        }
    }
    Ok(())
}

/// What is printed of a form.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    form: String,
    results: usize,
    /// Of them so many are not as they came.
    changed: usize,
    tokens: usize,
    /// Of all results as they came, in thousandths.
    of_all_permille: usize,
    median: usize,
    p90: usize,
    largest: usize,
}

fn all(forms: &mut [Form]) -> Vec<Row> {
    let whole = forms.first().map_or(0, |form| form.tokens.iter().sum::<usize>());
    let row = |form: &mut Form| {
        form.tokens.sort_unstable();
        let at = |percent: usize| form.tokens.get(form.tokens.len() * percent / 100).copied();
        let tokens: usize = form.tokens.iter().sum();
        Row {
            form: form.name.clone(),
            results: form.tokens.len(),
            changed: form.changed,
            tokens,
            of_all_permille: (tokens * 1000).div_ceil(whole.max(1)),
            median: at(50).unwrap_or_default(),
            p90: at(90).unwrap_or_default(),
            largest: form.tokens.last().copied().unwrap_or_default(),
        }
    };
    forms.iter_mut().map(row).collect()
}

fn shown(forms: &mut [Form], width: Option<usize>) -> String {
    let head = ["RESULTS", "COUNT", "CHANGED", "TOKENS", "OF ALL", "MEDIAN", "P90", "LARGEST"];
    let mut table = vec![head.map(str::to_owned)];
    table.extend(all(forms).into_iter().map(|row| {
        [
            row.form,
            thousands(row.results),
            thousands(row.changed),
            thousands(row.tokens),
            format!("{}.{} %", row.of_all_permille / 10, row.of_all_permille % 10),
            thousands(row.median),
            thousands(row.p90),
            thousands(row.largest),
        ]
    }));
    let mut out = columns(&table, &[1, 2, 3, 4, 5, 6, 7], width);
    out.push_str("\ntokens by o200k_base, of what a client shows its model\n");
    out
}

#[cfg(test)]
mod tests {
    use super::{Form, all, forms, seen, shown};
    use crate::cli::args::ToolsTrim;

    fn wish() -> ToolsTrim {
        ToolsTrim {
            files: Vec::new(),
            keep: Vec::new(),
            drop: Vec::new(),
            max_rows: None,
            max_bytes: None,
            refer_bytes: None,
            json: false,
        }
    }

    fn counted(wish: &ToolsTrim, results: &[&str]) -> Vec<Form> {
        let mut forms = forms(wish).unwrap();
        for form in &mut forms {
            form.begin();
            results.iter().for_each(|result| form.add(result.as_bytes()).unwrap());
        }
        forms
    }

    #[test]
    fn a_model_sees_structure_or_texts() {
        let cases = [
            (
                r#"{"content":[{"type":"text","text":"a\n"},{"type":"image"},{"type":"text","text":"b"}]}"#,
                "a\n\nb",
            ),
            (r#"{"content":[{"type":"text","text":"a"}],"structuredContent":{"a": 1}}"#, "{\"a\": 1}"),
            (r#"{"content":[{"type":"text","text":"a"}],"structuredContent":null}"#, "a"),
            (r#"{"other":1}"#, ""),
        ];
        for (result, text) in cases {
            assert_eq!(seen(result.as_bytes()).unwrap(), text, "{result}");
        }
        assert!(seen(b"[]").is_err() && seen(b"{\"content\":[}").is_err());
    }

    #[test]
    fn forms_are_compared_with_what_came() {
        let pretty =
            r#"{"content":[{"type":"text","text":"{\n    \"a\": 1,\n    \"b\": [\n    2\n    ]\n}"}]}"#;
        let plain = r#"{"content":[{"type":"text","text":"words"}]}"#;
        let failed = r#"{"isError":true,"content":[{"type":"text","text":"{\n    \"a\": 1\n}"}]}"#;
        let long = format!("{{\"content\":[{{\"type\":\"text\",\"text\":\"{}\"}}]}}", "word ".repeat(1_200));
        let rows = all(&mut counted(&wish(), &[pretty, plain, failed, &long]));
        let changed: Vec<(&str, usize)> = rows.iter().map(|row| (row.form.as_str(), row.changed)).collect();
        let expected = [
            ("as they came", 0),
            ("minify", 1),
            ("minify, max_bytes 8,000", 1),
            ("minify, max_bytes 4,000", 2),
        ];
        assert_eq!(changed, expected);
        assert_eq!((rows[0].results, rows[0].of_all_permille), (4, 1000));
        assert!(rows[1].tokens < rows[0].tokens && rows[3].tokens < rows[2].tokens, "{rows:?}");
        assert!(rows[3].largest < rows[0].largest, "{rows:?}");
        let keep = ToolsTrim { keep: vec!["$.a".into()], ..wish() };
        let text = shown(&mut counted(&keep, &[pretty, plain]), None);
        assert!(text.contains("as asked") && !text.contains("max_bytes"), "{text}");
    }

    #[test]
    fn what_was_given_before_is_a_few_words_every_other_time() {
        let long = format!("{{\"content\":[{{\"type\":\"text\",\"text\":\"{}\"}}]}}", "word ".repeat(1_200));
        let asked = ToolsTrim { refer_bytes: Some(4_096), ..wish() };
        let forms = counted(&asked, &[&long, &long, &long, &long]);
        let form = forms.last().unwrap();
        assert_eq!((form.name.as_str(), form.changed), ("as asked", 2));
        assert!(form.tokens[0] > 1_000 && form.tokens[2] == form.tokens[0], "{:?}", form.tokens);
        assert!(form.tokens[1] < 100 && form.tokens[3] < 100, "{:?}", form.tokens);
    }

    #[test]
    fn a_path_that_is_none_is_not_understood() {
        let odd = ToolsTrim { drop: vec!["a b".into()], ..wish() };
        assert!(format!("{:?}", forms(&odd).unwrap_err()).contains("a b: "));
    }
}
