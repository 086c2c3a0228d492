//! What is kept of a passing answer: its bill, the uses of tools in it, and any split against the whole.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::{Just, Strategy};
use serde_json::{Value as Tree, json};

use super::action::{Action, Class};
use super::anthropic::gather::gather;
use super::anthropic::response::AnswerReader;
use super::anthropic::stream::UsageReader;
use super::shell;
use super::usage::{Answer, Iteration, SideWork, Terms, Usage};
use crate::limits;

fn event(name: &str, data: &Tree) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// A block whose input comes in pieces of `step` bytes.
fn streamed(index: u64, block: &Tree, input: &str, step: usize) -> String {
    let begin = json!({"type": "content_block_start", "index": index, "content_block": block});
    let mut out = event("content_block_start", &begin);
    let mut rest = input;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(step));
        let delta = json!({"type": "input_json_delta", "partial_json": piece});
        let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
        out.push_str(&event("content_block_delta", &delta));
        rest = after;
    }
    out.push_str(&event("content_block_stop", &json!({"type": "content_block_stop", "index": index})));
    out
}

fn read_events(stream: &str) -> Answer {
    let mut reader = UsageReader::default();
    reader.push(stream.as_bytes());
    assert_eq!(reader.unread(), 0);
    reader.answer().clone()
}

fn read_document(document: &str) -> Answer {
    let mut reader = AnswerReader::default();
    reader.push(document.as_bytes());
    reader.answer().clone()
}

/// The action of one block, read in both ways, in pieces and whole.
fn action_of(block: &Tree) -> Option<Action> {
    let document = json!({"content": [{"type": "text", "text": "x"}, block]}).to_string();
    let whole = read_document(&document);
    let mut bytewise = AnswerReader::default();
    document.as_bytes().chunks(1).for_each(|byte| bytewise.push(byte));
    assert_eq!(bytewise.answer(), &whole);
    let mut begun = block.clone();
    let input = begun.as_object_mut().unwrap().insert("input".into(), json!({})).unwrap_or_default();
    for step in [1, 3, 1000] {
        let stream = streamed(1, &begun, &input.to_string(), step);
        assert_eq!(read_events(&stream).actions, whole.actions, "{block} by {step}");
    }
    assert!(whole.actions.len() <= 1);
    whole.actions.into_iter().next()
}

fn told(name: &str, input: &Tree) -> (Class, String) {
    let action = action_of(&json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": input}));
    let action = action.expect("it is a use of a tool");
    assert_eq!((&*action.id, &*action.name), ("toolu_1", name));
    (action.class, action.detail.into())
}

// === uses of tools ===

#[test]
fn each_tool_is_told_by_what_it_is_about() {
    let check = |name: &str, input: Tree, class: Class, detail: &str| {
        assert_eq!(told(name, &input), (class, detail.to_owned()), "{name} {input}");
    };
    check("Write", json!({"file_path": "/a/b \"c\".rs", "content": "x"}), Class::Write, "/a/b \"c\".rs");
    check("Edit", json!({"old_string": "\\", "file_path": "/a"}), Class::Write, "/a");
    check("MultiEdit", json!({"file_path": "/é→", "edits": [{"file_path": "no"}]}), Class::Write, "/é→");
    check("NotebookEdit", json!({"notebook_path": "/n.ipynb"}), Class::Write, "/n.ipynb");
    check("Read", json!({"file_path": "/a", "limit": 7}), Class::Read, "/a");
    check("Grep", json!({"pattern": "a|b", "path": "/src"}), Class::Read, "a|b");
    check("Bash", json!({"command": "ls -l", "description": "Look"}), Class::Read, "ls -l");
    check("Bash", json!({"command": "cargo test"}), Class::Unknown, "cargo test");
    check("Bash", json!({"command": "rm -rf target"}), Class::Destructive, "rm -rf target");
    check("WebFetch", json!({"url": "https://u:p@Example.com:8443/x?token=1"}), Class::Read, "example.com");
    check("WebFetch", json!({"url": "http://[::1]:80/"}), Class::Read, "[::1]");
    check("WebSearch", json!({"query": "rust"}), Class::Read, "rust");
    check("Task", json!({"description": "Look around", "prompt": "..."}), Class::Unknown, "Look around");
    check("mcp__gh__create_issue", json!({"title": "t", "path": "a/b"}), Class::Unknown, "a/b");
    check("str_replace_based_edit_tool", json!({"command": "view", "path": "/a"}), Class::Read, "/a");
    check("str_replace_based_edit_tool", json!({"command": "create", "path": "/a"}), Class::Write, "/a");
    check("memory", json!({"command": "delete", "path": "/memories/a"}), Class::Destructive, "/memories/a");
    check("Nobody", json!({"x": 1}), Class::Unknown, "");
    check("Nobody", json!([{"path": "/a"}]), Class::Unknown, "");
    check("Write", json!({"file_path": 7}), Class::Write, "");
    check("Write", json!({}), Class::Write, "");
}

#[test]
fn other_blocks_tell_nothing() {
    assert_eq!(action_of(&json!({"type": "text", "text": "{\"type\":\"tool_use\"}", "input": 1})), None);
    assert_eq!(action_of(&json!({"type": "thinking", "thinking": "tool_use", "input": {}})), None);
    let result = json!({"type": "tool_result", "name": "Bash", "input": {"command": "rm"}});
    assert_eq!(action_of(&result), None);
}

#[test]
fn tools_that_the_provider_runs_are_told_too() {
    let block = json!({"type": "mcp_tool_use", "id": "a", "name": "search", "server_name": "wiki",
        "input": {"query": "x"}});
    let action = action_of(&block).unwrap();
    assert_eq!((&*action.detail, action.class), ("wiki/search", Class::Unknown));
    let block = json!({"type": "server_tool_use", "id": "b", "name": "web_search", "input": {"query": "x"}});
    let action = action_of(&block).unwrap();
    assert_eq!((&*action.id, &*action.detail, action.class), ("b", "x", Class::Read));
}

#[test]
fn long_inputs_are_cut_and_never_called_harmless() {
    let pad = "x".repeat(limits::ACTION_INPUT_BYTES_MAX);
    let before = format!("{{\"file_path\":\"/a\",\"content\":\"{pad}\"}}");
    let block = json!({"type": "tool_use", "id": "a", "name": "Write", "input": {}});
    let action = |stream: &str| read_events(stream).actions.into_iter().next().unwrap();
    assert_eq!(&*action(&streamed(0, &block, &before, 64)).detail, "/a");
    let after = format!("{{\"content\":\"{pad}\",\"file_path\":\"/a\"}}");
    assert_eq!(&*action(&streamed(0, &block, &after, 64)).detail, "", "it was not looked at");
    let hidden = format!("{{\"command\":\"ls\",\"x\":\"{pad}\",\"command\":\"rm x\"}}");
    let block = json!({"type": "tool_use", "id": "a", "name": "Bash", "input": {}});
    assert_eq!(action(&streamed(0, &block, &hidden, 64)).class, Class::Unknown);
    let twice = "{\"command\":\"ls\",\"command\":\"rm x\"}";
    assert_eq!(action(&streamed(0, &block, twice, 5)).class, Class::Destructive, "the last one counts");
    let long = format!("{{\"command\":\"cat {}\"}}", "é".repeat(limits::ACTION_MEMBER_BYTES_MAX));
    let long = action(&streamed(0, &block, &long, 100));
    assert_eq!(long.class, Class::Unknown);
    assert!((500..=limits::ACTION_DETAIL_BYTES_MAX).contains(&long.detail.len()));
}

#[test]
fn odd_streams_of_input_are_survived() {
    let begin = |index: u64| {
        let block = json!({"type": "tool_use", "id": "a", "name": "Bash", "input": {}});
        event("content_block_start", &json!({"index": index, "content_block": block}))
    };
    let delta = |index: u64, piece: &str| {
        event("content_block_delta", &json!({"index": index, "delta": {"partial_json": piece}}))
    };
    let stop = event("content_block_stop", &json!({}));
    let one = |stream: String| {
        let actions = read_events(&stream).actions;
        assert!(actions.len() <= 1);
        actions.into_iter().next().map(|action| (action.class, String::from(action.detail)))
    };
    let ls = "{\"command\":\"ls\"}";
    assert_eq!(one(begin(1) + &delta(1, ls) + &stop), Some((Class::Read, "ls".to_owned())));
    assert_eq!(
        one(begin(1) + &delta(2, ls) + &stop),
        Some((Class::Unknown, String::new())),
        "another block's"
    );
    assert_eq!(one(begin(1) + &delta(1, ls)), None, "nobody runs half a use");
    assert_eq!(one(delta(1, ls) + &stop), None);
    let broken =
        "event: content_block_delta\ndata: {\"index\":1,\"delta\":{\"partial_json\":\"\\ud800\"}}\n\n";
    let mended = begin(1) + broken + &delta(1, ls) + &stop;
    assert_eq!(one(mended), Some((Class::Unknown, String::new())), "what is missing is not guessed");
    let huge = delta(1, &"x".repeat(limits::USAGE_EVENT_BYTES_MAX));
    let huge = begin(1) + &delta(1, ls) + &huge + &stop;
    assert_eq!(one(huge), Some((Class::Unknown, "ls".to_owned())));
}

#[test]
fn there_are_only_so_many() {
    let uses = |count: usize, detail: &str| {
        let block = json!({"type": "tool_use", "id": "a", "name": "Read", "input": {"file_path": detail}});
        read_document(&json!({"content": vec![block; count]}).to_string())
    };
    let few = uses(limits::ACTIONS_OF_ENTRY_MAX + 3, "/a");
    assert_eq!((few.actions.len(), few.actions_left_out), (limits::ACTIONS_OF_ENTRY_MAX, 3));
    let large = uses(limits::ACTIONS_OF_ENTRY_MAX, &"x".repeat(limits::ACTION_DETAIL_BYTES_MAX));
    assert_eq!((large.actions.len(), large.actions_left_out), (limits::ACTIONS_OF_ENTRY_MAX, 0));
    let bytes: usize = large.actions.iter().map(|action| action.detail.len() + 5).sum();
    assert!(bytes <= limits::ACTIONS_BYTES_MAX, "{bytes}");
    assert!(large.actions.last().unwrap().detail.is_empty(), "a later one loses its detail, not its line");
}

// === the shell ===

fn check_lines(class: Class, lines: &[&str]) {
    for line in lines {
        assert_eq!(shell::class(line), class, "{line}");
    }
}

#[test]
fn commands_that_only_look() {
    check_lines(
        Class::Read,
        &[
            "ls",
            "ls -la | head -5; pwd",
            "cd src && grep -rn 'a; rm b' .",
            "git log --oneline -5",
            "find . -name '*.rs' | wc -l",
            "cat a 2>/dev/null",
            "cat \"$HOME/x\" # rm x",
            "rg -n foo src",
            "sort -u a",
            "tree -L 2",
            "git diff HEAD~1 -- src",
        ],
    );
}

#[test]
fn commands_that_change_files() {
    check_lines(
        Class::Write,
        &[
            "mkdir -p a",
            "echo x > a",
            "echo x >> a; ls",
            "git commit -m 'rm -rf; x'",
            "cargo b && touch x",
            "sed -i s/a/b/ x",
            "cat <<EOF > x\nrm -rf /\nEOF",
            "ls | tee x",
            "ls &> log",
            "sudo cp a b",
            "ls 2> x",
            "FOO=1 mv a b",
            "git -C /x push",
            "cp \"a b\" c",
        ],
    );
}

#[test]
fn commands_that_take_away() {
    check_lines(
        Class::Destructive,
        &[
            "rm x",
            "find . -d\"el\"ete",
            "cd x && /bin/rm -rf y",
            "sudo -u root rm y",
            "\\rm x",
            "'rm' x",
            "ls; { rm x; }",
            "(rm x)",
            "find . -name x -delete",
            "find . -exec rm {} +",
            "find . | xargs -n 1 rm",
            "git reset --hard",
            "git push -f",
            "git push origin +main",
            "git push --force-with-lease",
            "git clean -fd",
            "X=1 rm y",
            "git checkout -- .",
            "kubectl delete pod x",
            "terraform destroy",
            "echo $(rm x)",
            "echo `rm x`",
            "dd if=/dev/zero of=/dev/sda",
            "mkfs.ext4 /dev/sda",
            "if true; then rm x; fi",
            "ls\nrm x",
            "git branch -D x",
            "truncate -s 0 x",
        ],
    );
}

#[test]
fn commands_that_nobody_knows_or_that_hide_something() {
    check_lines(
        Class::Unknown,
        &[
            "",
            " ; ",
            "cargo test",
            "ls $(cat x)",
            "ls; make",
            "python -c 'rm'",
            "cat <(ls)",
            "PATH=. ls",
            "env ls",
            "'ls'",
            "l\\s",
            "./ls",
            "$x",
            "find . $x",
            "find . -{delete,x}",
            "find . -fprint x",
            "find . -ex\"ec\" ls",
            "git grep --op=sh x",
            "rg --pre=sh x",
            "git grep -lOsh x",
            "git log --output=x",
            "git diff --ext-diff",
            "sort -ro x y",
            "tree -ao x",
            "cat \"`ls`\"",
            "cat << EOF",
            "cat \"unclosed",
            "ls\r",
            "file -bC x",
            "cat ${x:=y}",
            "# ls",
        ],
    );
}

// === the bill ===

#[test]
fn the_bill_of_a_stream_is_read() {
    let usage = json!({"input_tokens": 3, "output_tokens": 1, "service_tier": "priority", "speed": "fast",
        "inference_geo": "us", "server_tool_use": {"web_search_requests": 1}});
    let message = json!({"id": "msg_1", "model": "claude-opus-5", "usage": usage});
    let iterations = json!([
        {"type": "message", "input_tokens": 9, "output_tokens": 9},
        {"type": "compaction", "input_tokens": 150, "output_tokens": 30, "cache_creation_input_tokens": 4},
        {"type": "advisor_message", "model": "claude-big", "input_tokens": 5, "output_tokens": 6},
        {"type": "fallback_message", "model": "claude-other", "input_tokens": 3, "output_tokens": 40},
        7,
    ]);
    let tools = json!({"web_search_requests": 2, "web_fetch_requests": 3, "code_execution_requests": 4});
    let total = json!({"output_tokens": 40, "iterations": iterations,
        "server_tool_use": tools});
    let stream = event("message_start", &json!({"message": message}))
        + &event("message_delta", &json!({"delta": {"stop_reason": "compaction"}, "usage": total}));
    let compaction = Usage {
        input_tokens: 150,
        output_tokens: 30,
        cache_write_5m_tokens: 4,
        seen: true,
        ..Usage::default()
    };
    let advice = Usage { input_tokens: 5, output_tokens: 6, seen: true, ..Usage::default() };
    let expected = Answer {
        usage: Usage {
            input_tokens: 3,
            output_tokens: 40,
            web_searches: 2,
            web_fetches: 3,
            code_executions: 4,
            seen: true,
            ..Usage::default()
        },
        terms: Terms {
            service_tier: Some("priority".into()),
            speed: Some("fast".into()),
            inference_geo: Some("us".into()),
        },
        iterations: vec![
            Iteration { work: SideWork::Compaction, model: None, usage: compaction },
            Iteration { work: SideWork::Advice, model: Some("claude-big".into()), usage: advice },
        ],
        stop_reason: Some("compaction".into()),
        model: Some("claude-other".into()),
        message_id: Some("msg_1".into()),
        ..Answer::default()
    };
    assert_eq!(read_events(&stream), expected);
    let mut whole =
        json!({"id": "msg_1", "model": "claude-opus-5", "stop_reason": "compaction", "usage": usage});
    for (name, value) in total.as_object().unwrap() {
        whole["usage"][name] = value.clone();
    }
    let mut whole = read_document(&whole.to_string());
    // In a document the model may stand on either side of the usage.
    whole.model = expected.model.clone();
    assert_eq!(whole, expected);
}

#[test]
fn the_last_list_of_side_work_counts_and_is_bounded() {
    let work = |count: usize| vec![json!({"type": "compaction", "output_tokens": 2}); count];
    let delta = |count: usize| event("message_delta", &json!({"usage": {"iterations": work(count)}}));
    let answer = read_events(&(delta(3) + &delta(1)));
    assert_eq!(answer.iterations.len(), 1);
    let answer = read_events(&delta(limits::ITERATIONS_MAX + 9));
    assert_eq!(answer.iterations.len(), limits::ITERATIONS_MAX);
    let sum: u64 = answer.iterations.iter().map(|one| one.usage.output_tokens).sum();
    assert_eq!(sum, 2 * (limits::ITERATIONS_MAX as u64 + 9), "nothing is lost");
}

#[test]
fn a_stream_that_breaks_off_has_produced_something() {
    let delta = |kind: &str, name: &str, text: &str| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
            {{\"type\":\"{kind}\",\"{name}\":\"{text}\"}}}}\n\n"
        )
    };
    let text = delta("text_delta", "text", "twelve bytes");
    assert_eq!(read_events(&text.repeat(5)).produced_bytes, 60);
    let input = delta("input_json_delta", "partial_json", "{}");
    assert!((2..20).contains(&read_events(&input).produced_bytes));
    let thinking = |tokens: &str| {
        event("content_block_start", &json!({"index": 0, "content_block": {"type": "thinking"}}))
            + &format!(
                "event: content_block_delta\ndata: \
                {{\"delta\":{{\"thinking\":\"\",\"estimated_tokens\":{tokens}}}}}\n\n"
            )
    };
    assert_eq!(read_events(&thinking("200")).produced_bytes, 700);
    assert_eq!(read_events(&thinking("null")).produced_bytes, 0);
    let most = limits::THINKING_ESTIMATE_TOKENS_MAX * 7 / 2;
    assert_eq!(read_events(&thinking("99999999999999999999999")).produced_bytes, most);
    let document = json!({"content": [{"type": "text", "text": "x".repeat(100)}]}).to_string();
    let half = document.get(..80).unwrap();
    assert_eq!(read_document(half).produced_bytes, 69);
}

// === any bytes ===

fn stream_bytes() -> impl Strategy<Value = Vec<u8>> {
    let whole = (select(vec!["Bash", "Write", "mcp__a__b", "WebFetch"]), "[ -~]{0,12}", 1_usize..9).prop_map(
        |(name, text, step)| {
            let block = json!({"type": "tool_use", "id": "a", "name": name, "input": {}});
            let input = json!({"command": text, "file_path": text, "url": text}).to_string();
            streamed(0, &block, &input, step).into_bytes()
        },
    );
    let document = "[ -~]{0,12}".prop_map(|text| {
        let block = json!({"type": "tool_use", "id": "a", "name": "Bash", "input": {"command": text}});
        json!({"content": [block], "usage": {"output_tokens": 7}}).to_string().into_bytes()
    });
    let word = prop_oneof![
        3 => whole,
        2 => document,
        4 => select(vec![
            "event: content_block_start\n", "event: content_block_delta\n", "event: content_block_stop\n",
            "data: ", "\n\n", "\r\n", "\n", "{", "}", "[", "]", ",", ":", "\"index\":0", "\"content\":",
            "\"content_block\":{", "\"type\":\"tool_use\"", "\"delta\":{", "\"partial_json\":\"{", "\"", "\\",
            "\"input\":", "\"name\":\"Bash\"", "\"command\":\"ls\"",
        ]).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..9),
        1 => Just(b"\xef\xbb\xbf".to_vec()),
    ];
    vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_tells_the_same(bytes in stream_bytes(), step in 1_usize..40) {
        let (mut pieces, mut whole) = (UsageReader::default(), UsageReader::default());
        bytes.chunks(step).for_each(|piece| pieces.push(piece));
        whole.push(&bytes);
        assert_eq!(pieces.answer(), whole.answer());
        let (mut pieces, mut whole) = (AnswerReader::default(), AnswerReader::default());
        bytes.chunks(step).for_each(|piece| pieces.push(piece));
        whole.push(&bytes);
        assert_eq!(pieces.answer(), whole.answer());
    }

    #[test]
    fn any_line_has_a_class_and_hiding_it_never_helps(line in "[a-z $(){}`'\"\\\\;|&<>\n#-]{0,40}") {
        let class = shell::class(&line);
        assert_eq!(shell::class(&line), class);
        // Whatever a line looks like, a plain `rm` on a line before it is seen.
        assert_eq!(shell::class(&format!("rm x\n{line}")), Class::Destructive);
    }
}

// === one document of a stream ===

fn gathered(stream: &str) -> Option<Tree> {
    gather(stream.as_bytes()).map(|document| serde_json::from_slice(&document).unwrap())
}

fn delta(index: u64, delta: &Tree) -> String {
    event("content_block_delta", &json!({"index": index, "delta": delta}))
}

#[test]
fn a_stream_becomes_the_document_that_it_stands_for() {
    let begin = |index: u64, block: &Tree| {
        event("content_block_start", &json!({"index": index, "content_block": block}))
    };
    let half = |text: &str| {
        let delta = format!("{{\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}");
        format!("event: content_block_delta\ndata: {delta}\n\n")
    };
    let end = json!({"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}});
    let message = json!({"id": "msg_1", "model": "m", "content": [], "stop_reason": null,
        "usage": {"output_tokens": 1}});
    let stream = event("message_start", &json!({ "message": message }))
        + &begin(0, &json!({"type": "text", "text": ""}))
        + &delta(0, &json!({"type": "text_delta", "text": "a \"b\"\n"}))
        + "event: ping\ndata: {}\n\n"
        + &half("\\ud83d")
        + &half("\\ude00")
        + &delta(0, &json!({"type": "citations_delta", "citation": {"x": 1}}))
        + &streamed(
            1,
            &json!({"type": "tool_use", "id": "t", "name": "Read", "input": {}}),
            "{\"a\":[1,\"\\n\"]}",
            3,
        )
        + &begin(2, &json!({"type": "thinking", "thinking": "", "signature": ""}))
        + &delta(2, &json!({"type": "thinking_delta", "thinking": "so"}))
        + &delta(2, &json!({"type": "signature_delta", "signature": "abc"}))
        + &event("message_delta", &end)
        + &event("message_stop", &json!({}));
    let expected = json!({"id": "msg_1", "model": "m", "stop_reason": "tool_use", "usage": end["usage"],
    "content": [
        {"type": "text", "text": "a \"b\"\n😀",
                "deltas": [{"type": "citations_delta", "citation": {"x": 1}}]},
        {"type": "tool_use", "id": "t", "name": "Read", "input": {"a": [1, "\n"]}},
        {"type": "thinking", "thinking": "so", "signature": "abc"},
    ]});
    assert_eq!(gathered(&stream), Some(expected));
    let cut = stream.split_once("event: message_delta").unwrap().0;
    let half = gathered(cut).unwrap();
    assert_eq!(half["content"][0]["type"], "text");
    assert_eq!(half["usage"]["output_tokens"], 1);
}

#[test]
fn what_is_no_stream_becomes_nothing() {
    for other in ["", "{\"content\":[]}", "event: message_stop\ndata: {}\n\n", "data: {\"message\":{}}\n\n"] {
        assert_eq!(gathered(other), None);
    }
    let broken = event("message_start", &json!({"message": {}}))
        + "event: content_block_delta\ndata: {\"delta\":{\"type\":\n\n"
        + &delta(7, &json!({"type": "input_json_delta", "partial_json": "{\"a\":"}));
    assert_eq!(gathered(&broken), Some(json!({"content": [{"input": "{\"a\":"}]})));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_gathered_is_an_object(bytes in stream_bytes()) {
        let start = b"event: message_start\ndata: {\"message\":{\"id\":\"x\"}}\n\n";
        let stream = [start, bytes.as_slice()].concat();
        let document = gather(&stream).unwrap();
        assert!(document.starts_with(b"{\"id\":\"x\",") || document.starts_with(b"{\"content\":"));
        assert!(document.ends_with(b"]}"));
    }
}
