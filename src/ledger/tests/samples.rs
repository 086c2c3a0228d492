//! Records to test with: usual ones, and any at all.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::select;

use crate::ids::CallId;
use crate::ledger::entry::{Action, Class, Entry, Kind, Offer, Tokens};
use crate::ledger::record::{Gap, Head, Open, Record, Retention};

/// The entry of a usual answer of a model, made different by `number`.
pub(super) fn entry(number: u64) -> Entry {
    Entry {
        took_us: 1_250_000 + number,
        first_byte_us: 420_000,
        key: "ada".into(),
        key_id: "3f1c0a9be772".into(),
        team: "platform".into(),
        client: "claude-cli/2.1.330 (external, sdk-cli)".into(),
        session: "0b7f6a52-7d8e-4c51-9a51-2d0d5a1b4c11".into(),
        upstream_id: "req_011CVNyw5xYyA8rJ8xq9n3bA".into(),
        model: "claude-sonnet-5".into(),
        served_model: "claude-sonnet-5-20260801".into(),
        provider: "anthropic".into(),
        tokens: Tokens { input: 12, output: 345, cache_read: 150_000, ..Tokens::default() },
        cost_pico: 51_234_000_000 + number,
        priced: "2026-11-01".into(),
        budgets: vec!["team:platform".into(), "key:ada".into()],
        decision: "allow: teams.platform.models[0]".into(),
        status: 200,
        outcome: "ok".into(),
        stop_reason: "tool_use".into(),
        request_bytes: 512_345,
        answer_bytes: 8_765,
        actions: vec![Action {
            id: "toolu_01A09q90qw90lq917835lq9".into(),
            name: "Bash".into(),
            class: Class::Write,
            detail: "cargo test --lib".into(),
        }],
        ..Entry::new(id(number), Kind::ModelCall, 1_795_000_000_000 + number)
    }
}

/// The opening of the same call, reserved at 70 nano-dollars.
pub(super) fn open(number: u64) -> Open {
    Open {
        key: "ada".into(),
        team: "platform".into(),
        model: "claude-sonnet-5".into(),
        estimate_pico: 70_000 + number,
        budgets: vec!["team:platform".into(), "key:ada".into()],
        ..Open::new(id(number), Kind::ModelCall, 1_795_000_000_000 + number)
    }
}

/// The id of the call of that number.
pub(super) fn id(number: u64) -> CallId {
    CallId(0x0123_4567_89ab_cdef_0000_0000_0000_0000 | u128::from(number))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![2 => "", 3 => "[a-z/._-]{1,20}", 1 => "\\PC{0,60}"]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![2 => 0..1_u64, 3 => 1..100_000_u64, 1 => any::<u64>()]
}

fn call_id() -> impl Strategy<Value = CallId> {
    prop_oneof![1 => 0..2_u128, 5 => any::<u128>()].prop_map(CallId)
}

fn kind() -> impl Strategy<Value = Kind> {
    select(Kind::ALL.to_vec())
}

fn class() -> impl Strategy<Value = Class> {
    select(Class::ALL.to_vec())
}

fn action() -> impl Strategy<Value = Action> {
    (text(), text(), class(), text()).prop_map(|(id, name, class, detail)| Action { id, name, class, detail })
}

fn offer() -> impl Strategy<Value = Offer> {
    let numbers = [number(), number(), number(), number()];
    ("[a-z_]{0,20}", numbers).prop_map(|(server, [definitions, tokens, deferred, used])| Offer {
        server,
        definitions,
        tokens,
        deferred,
        used,
    })
}

fn tokens() -> impl Strategy<Value = Tokens> {
    [number(), number(), number(), number(), number()].prop_map(
        |[input, output, cache_read, cache_write_5m, cache_write_1h]| Tokens {
            input,
            output,
            cache_read,
            cache_write_5m,
            cache_write_1h,
        },
    )
}

/// Any entry. Its texts are dealt out in the order of its fields.
pub(super) fn any_entry() -> impl Strategy<Value = Entry> {
    let head = (call_id(), kind(), class(), tokens(), any::<u16>());
    let lists = (vec(text(), 0..4), vec(action(), 0..4), vec(offer(), 0..4));
    (head, vec(text(), 30), vec(number(), 6), lists).prop_map(|(head, texts, numbers, lists)| {
        let (id, kind, class, tokens, status) = head;
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap();
        Entry {
            id,
            kind,
            at_ms: numbers[0],
            took_us: numbers[1],
            first_byte_us: numbers[2],
            key: text(),
            key_id: text(),
            team: text(),
            user: text(),
            client: text(),
            session: text(),
            agent: text(),
            prompt: text(),
            upstream_id: text(),
            model: text(),
            served_model: text(),
            provider: text(),
            region: text(),
            method: text(),
            server: text(),
            tool: text(),
            tool_hash: text(),
            class,
            tool_use_id: text(),
            tokens,
            cost_pico: numbers[3],
            priced: text(),
            budgets: lists.0,
            decision: text(),
            status,
            outcome: text(),
            stop_reason: text(),
            error: text(),
            request_bytes: numbers[4],
            answer_bytes: numbers[5],
            actions: lists.1,
            content: text(),
            offers: lists.2,
            policy: text(),
            marks: text(),
            sought: text(),
            mode: text(),
            mode_by: text(),
        }
    })
}

/// Any opening: the part of any entry that is known before the call.
pub(super) fn any_open() -> impl Strategy<Value = Open> {
    any_entry().prop_map(|entry| Open {
        id: entry.id,
        kind: entry.kind,
        at_ms: entry.at_ms,
        key: entry.key,
        key_id: entry.key_id,
        team: entry.team,
        user: entry.user,
        client: entry.client,
        session: entry.session,
        agent: entry.agent,
        prompt: entry.prompt,
        model: entry.model,
        provider: entry.provider,
        method: entry.method,
        server: entry.server,
        tool: entry.tool,
        tool_hash: entry.tool_hash,
        class: entry.class,
        tool_use_id: entry.tool_use_id,
        decision: entry.decision,
        estimate_pico: entry.cost_pico,
        budgets: entry.budgets,
        request_bytes: entry.request_bytes,
        policy: entry.policy,
    })
}

/// Any record.
pub(super) fn any_record() -> impl Strategy<Value = Record> {
    let head =
        (number(), number(), any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 8]>(), any::<[u8; 32]>());
    let head = head.prop_map(|(at_ms, size, root, chain, key, half)| {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&half);
        signature[32..].copy_from_slice(&half);
        Record::Head(Head { at_ms, size, root, chain, key, signature })
    });
    let retention = (number(), number(), any::<[u8; 32]>(), vec(any::<[u8; 32]>(), 0..5));
    let retention = retention.prop_map(|(at_ms, kept_from, chain, frontier)| {
        Record::Retention(Retention { at_ms, kept_from, chain, frontier })
    });
    prop_oneof![
        3 => any_open().prop_map(Record::Open),
        5 => any_entry().prop_map(Record::Close),
        2 => any_entry().prop_map(Record::Event),
        1 => head,
        1 => (number(), number()).prop_map(|(at_ms, records)| Record::Gap(Gap { at_ms, records })),
        1 => retention,
    ]
}
