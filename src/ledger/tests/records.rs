//! Records as bytes and back, and bytes that are none.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::corpus::replay;
use crate::ids::CallId;
use crate::ledger::encode::{self, Malformed, Stamp, Tag, decode, outline};
use crate::ledger::entry::{Action, Class, Entry, Kind, Offer};
use crate::ledger::fuzz;
use crate::ledger::note::Note;
use crate::ledger::record::{Open, Record};
use crate::ledger::tests::samples::{any_entry, any_open, any_record, entry, id, open};
use crate::limits;

fn encoded(record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    encode::encode(record, &mut out);
    out
}

fn noted<'a>(entry: &'a Entry, budgets: [&'a [String]; 2]) -> Note<'a> {
    Note {
        id: entry.id,
        kind: entry.kind,
        at_ms: entry.at_ms,
        took_us: entry.took_us,
        first_byte_us: entry.first_byte_us,
        key: &entry.key,
        key_id: &entry.key_id,
        team: &entry.team,
        user: &entry.user,
        client: entry.client.as_str().into(),
        session: &entry.session,
        agent: &entry.agent,
        prompt: &entry.prompt,
        upstream_id: &entry.upstream_id,
        model: entry.model.as_str().into(),
        served_model: &entry.served_model,
        provider: &entry.provider,
        region: &entry.region,
        method: &entry.method,
        server: &entry.server,
        tool: entry.tool.as_str().into(),
        tool_hash: &entry.tool_hash,
        class: entry.class,
        tool_use_id: &entry.tool_use_id,
        tokens: entry.tokens,
        cost_pico: entry.cost_pico,
        priced: &entry.priced,
        budgets,
        decision: entry.decision.as_str().into(),
        status: entry.status,
        outcome: &entry.outcome,
        stop_reason: &entry.stop_reason,
        error: entry.error.as_str().into(),
        request_bytes: entry.request_bytes,
        answer_bytes: entry.answer_bytes,
        actions: entry.actions.clone(),
        content: &entry.content,
        offers: entry.offers.clone(),
        policy: &entry.policy,
        marks: entry.marks.as_str().into(),
        sought: entry.sought.as_str().into(),
        mode: &entry.mode,
        mode_by: &entry.mode_by,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_comes_back(record in any_record()) {
        let bytes = encoded(&record);
        prop_assert!(bytes.len() <= limits::RECORD_BYTES_MAX);
        prop_assert_eq!(decode(&bytes).unwrap(), record);
    }

    #[test]
    fn the_outline_tells_the_same(
        entry in any_entry(),
        journal in 0..limits::JOURNALS_MAX,
        seq: u64,
    ) {
        let stamp = Some(Stamp { journal, seq });
        let mut bytes = Vec::new();
        encode::put_entry(Tag::Event, stamp, &entry, &mut bytes);
        let outline = outline(&bytes).unwrap();
        prop_assert_eq!((outline.tag, outline.stamp, outline.id), (Tag::Event, stamp, Some(entry.id)));
        prop_assert_eq!(decode(&bytes).unwrap(), Record::Event(entry));
    }

    #[test]
    fn a_note_is_written_as_an_entry_is(entry in any_entry(), split: usize, estimate_pico: u64, seq: u64) {
        let stamp = Some(Stamp { journal: 3, seq });
        let budgets = entry.budgets.split_at(split % (entry.budgets.len() + 1));
        let note = noted(&entry, budgets.into());
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        encode::put_entry(Tag::Close, stamp, &entry, &mut theirs);
        note.put(Tag::Close, stamp, &mut ours);
        prop_assert_eq!(&ours, &theirs);
        ours.clear();
        theirs.clear();
        encode::put_open(stamp, &Open::of(entry.clone(), estimate_pico), &mut theirs);
        note.put_open(estimate_pico, stamp, &mut ours);
        prop_assert_eq!(&ours, &theirs);
    }

    #[test]
    fn any_bytes_are_a_record_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        fuzz::record(&bytes);
    }

    #[test]
    fn a_damaged_record_is_another_or_refused(record in any_record(), at: usize, bit in 0..8) {
        let mut bytes = encoded(&record);
        let at = at % bytes.len();
        bytes[at] ^= 1_u8 << bit;
        fuzz::record(&bytes);
        bytes.truncate(at);
        fuzz::record(&bytes);
    }

    #[test]
    fn a_lost_call_keeps_what_its_opening_said(open in any_open()) {
        let entry = open.clone().lost();
        prop_assert_eq!(&entry.outcome, "lost");
        prop_assert_eq!(&entry.priced, "estimate");
        prop_assert_eq!(entry.cost_pico, open.estimate_pico);
        prop_assert_eq!((entry.id, entry.kind, entry.at_ms), (open.id, open.kind, open.at_ms));
        prop_assert_eq!(entry.budgets, open.budgets);
        prop_assert_eq!(entry.tool_use_id, open.tool_use_id);
    }

    #[test]
    fn json_says_what_is_known(entry in any_entry()) {
        let json = serde_json::to_value(&entry).unwrap();
        let shown = entry.id.to_string();
        prop_assert_eq!(json["id"].as_str(), Some(shown.as_str()));
        prop_assert_eq!(json["kind"].as_str(), Some(entry.kind.name()));
        prop_assert_eq!(json["cost_pico"].as_u64(), Some(entry.cost_pico));
        let text = |name: &str| json.get(name).map_or("", |text| text.as_str().unwrap());
        prop_assert_eq!(text("stop_reason"), &entry.stop_reason);
        let actions = json.get("actions").map_or(0, |list| list.as_array().unwrap().len());
        prop_assert_eq!(actions, entry.actions.len());
    }
}

#[test]
fn the_bytes_stay_what_they_are() {
    // Written by hand: a ledger of years ago must be readable.
    let mut event = Entry::new(CallId(1), Kind::ToolCall, 300);
    event.server = "git".into();
    event.class = Class::Write;
    let id = [[0; 15].as_slice(), &[1]].concat();
    let expected = [
        [3, 0, 1, 16].as_slice(),
        &id,
        &[2, 1, 3],
        &[3, 2, 0xac, 2],
        &[20, 3, b'g', b'i', b't'],
        &[23, 1, 2],
    ]
    .concat();
    assert_eq!(encoded(&Record::Event(event)), expected);
    let mut list = Entry::new(CallId(1), Kind::ToolList, 0);
    (list.mode, list.mode_by) = ("jit".into(), "auto".into());
    let expected = [
        [3, 0, 1, 16].as_slice(),
        &id,
        &[2, 1, 14],
        &[42, 3, b'j', b'i', b't'],
        &[43, 4, b'a', b'u', b't', b'o'],
    ]
    .concat();
    assert_eq!(encoded(&Record::Event(list)), expected);
}

#[test]
fn a_usual_entry_is_small() {
    let mut bytes = Vec::new();
    encode::put_entry(Tag::Close, Some(Stamp { journal: 3, seq: 5_000_000 }), &entry(1), &mut bytes);
    assert!(bytes.len() < 420, "{} bytes", bytes.len());
}

#[test]
fn nothing_is_refused_for_its_length() {
    let long = "ä".repeat(10_000);
    let action = Action { id: long.clone(), name: long.clone(), class: Class::Write, detail: long.clone() };
    let mut entry = Entry::new(id(1), Kind::ModelCall, u64::MAX);
    for text in [&mut entry.key, &mut entry.session, &mut entry.error, &mut entry.content] {
        text.clone_from(&long);
    }
    entry.budgets = vec![long.clone(); 100];
    entry.actions = vec![action; 100];
    let most = u64::MAX;
    let offer = Offer { server: long.clone(), definitions: most, tokens: most, deferred: most, used: most };
    entry.offers = vec![offer; 100];
    let bytes = encoded(&Record::Close(entry));
    assert!(bytes.len() <= limits::RECORD_BYTES_MAX);
    let Ok(Record::Close(entry)) = decode(&bytes) else { panic!("it is a record") };
    assert_eq!(entry.key.len(), limits::RECORD_TEXT_BYTES_MAX);
    assert_eq!(entry.budgets.len(), limits::BUDGETS_OF_ENTRY_MAX);
    assert_eq!(entry.actions.len(), limits::ACTIONS_OF_ENTRY_MAX);
    assert_eq!(entry.actions[0].detail.len(), limits::ACTION_DETAIL_BYTES_MAX);
    assert_eq!(entry.offers.len(), limits::OFFERS_OF_ENTRY_MAX);
    assert_eq!(entry.offers[0].server.len(), limits::OFFER_SERVER_CHARS_MAX);
    assert!(long.starts_with(&entry.error));
}

#[test]
fn what_a_newer_program_says_is_skipped() {
    let mut bytes = encoded(&Record::Open(open(7)));
    bytes.extend_from_slice(&[120, 3, 1, 2, 3, 0xff, 1, 0]);
    assert_eq!(decode(&bytes), Ok(Record::Open(open(7))));
}

#[test]
fn hostile_bytes_are_named() {
    let id = [[0; 15].as_slice(), &[1]].concat();
    let with = |fields: &[u8]| [[2, 0, 1, 16].as_slice(), &id, fields].concat();
    let cases: [(Vec<u8>, Malformed); 14] = [
        (vec![], Malformed::Cut),
        (vec![9, 0], Malformed::Tag(9)),
        (vec![1], Malformed::Cut),
        (vec![1, 0x81, 0x10, 1], Malformed::TooLong),
        (vec![1, 0x80, 0], Malformed::Number),
        (with(&[3]), Malformed::Cut),
        (with(&[3, 5, 1]), Malformed::Cut),
        (with(&[3, 2, 0x80, 0]), Malformed::Number),
        (with(&[3, 2, 1, 1]), Malformed::Number),
        (with(&[30, 3, 0x80, 0x80, 4]), Malformed::Number),
        (with(&[6, 1, b'a', 3, 1, 1]), Malformed::Order(3)),
        (with(&[6, 2, 0xc3, 0x28]), Malformed::Text),
        (with(&[2, 1, 99]), Malformed::Word),
        (with(&[6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Malformed::Cut),
    ];
    for (bytes, expected) in cases {
        assert_eq!(decode(&bytes), Err(expected), "{bytes:?}");
    }
    let mut long = with(&[6, 0x81, 2]);
    long.resize(long.len() + 257, b'a');
    assert_eq!(decode(&long), Err(Malformed::TooLong));
    let many = [with(&[28, 33]), vec![0; 33]].concat();
    assert_eq!(decode(&many), Err(Malformed::TooLong));
    assert_eq!(decode(&vec![2; limits::RECORD_BYTES_MAX + 1]), Err(Malformed::TooLong));
}

#[test]
fn words_are_found_by_their_names() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_name(kind.name()), Some(kind));
    }
    for class in Class::ALL {
        assert_eq!(Class::from_name(class.name()), Some(class));
    }
    assert_eq!(Kind::from_name("model call"), None);
}

#[test]
fn an_opening_knows_its_call() {
    let mut bytes = Vec::new();
    encode::put_open(None, &Open::new(CallId(0), Kind::ModelCall, 5), &mut bytes);
    assert_eq!(outline(&bytes).unwrap().id, Some(CallId(0)), "an id of zeros is left out");
}

#[test]
fn the_seeds_of_the_fuzz_target_hold() {
    replay("ledger_record", 8, fuzz::record);
}

#[test]
fn most_seeds_are_records() {
    // A seed that is refused at its first byte leads nowhere.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/ledger_record");
    let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|seed| seed.unwrap().path()).collect();
    let refused = seeds.iter().filter(|path| decode(&std::fs::read(path).unwrap()).is_err()).count();
    assert!(refused <= 1, "{refused} of {} are refused", seeds.len());
}
