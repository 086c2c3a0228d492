//! Scripts that want everything, and those who send them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Result, bail, ensure};

use crate::gateway::HOSTILE;
use crate::wire;

/// Lanes of one key: more than it has turns, and with those of the other more than there are.
const LANES: usize = 4;

const LOOP: &str = "while (true) {}";
const PROMISES: &str = "while (true) await null";
const REGEX: &str = "return /^(a+)+$/.test('a'.repeat(40) + 'b')";
const MEMORY: &str = "const a = []; for (;;) a.push('x'.repeat(1000) + a.length)";
const CHURN: &str = "for (;;) { const a = []; for (let i = 0; i < 4e4; i++) a.push('x'.repeat(1000) + i) }";
const DOUBLING: &str = "let s = 'xy'; for (;;) s += s";
const RECURSION: &str = "const f = () => f() + 1; for (;;) try { f() } catch {}";
const LOGS: &str = "for (;;) console.log('line '.repeat(100))";
const RETURNS: &str = "return 'x'.repeat(250000)";
const CALLS: &str =
    "const all = await Promise.allSettled(Array.from({ length: 10000 }, () => tools.look_up()));
    return all.filter(one => one.status === 'fulfilled').length";
const TURNS: &str = "for (;;) await tools.look_up().catch(() => 1)";
const ARGUMENTS: &str = "const text = 'x'.repeat(1e6);
    await Promise.all(Array.from({ length: 50 }, () => tools.look_up({ text })))";
const SHORT: &str = "return 1";

/// All kinds, each with what its lanes send in turn.
pub(crate) fn kinds() -> Vec<(&'static str, Vec<&'static str>)> {
    let alone = [
        ("endless loop", LOOP),
        ("endless promises", PROMISES),
        ("regular expression", REGEX),
        ("memory at once", MEMORY),
        ("memory, anew", CHURN),
        ("string doubling", DOUBLING),
        ("recursion", RECURSION),
        ("console flood", LOGS),
        ("large results", RETURNS),
        ("10,000 calls at once", CALLS),
        ("calls in turn", TURNS),
        ("large arguments", ARGUMENTS),
        ("short, without end", SHORT),
    ];
    let all = alone.map(|(_, source)| source).to_vec();
    alone.map(|(name, source)| (name, vec![source])).into_iter().chain([("all of them", all)]).collect()
}

/// Has one script run: were none run, all would be calm.
pub(crate) fn probe(gateway: SocketAddr) -> Result<()> {
    let [key, _] = HOSTILE;
    let answer = wire::run(gateway, key, "return 40 + 2", &AtomicBool::new(false))?;
    ensure!(answer.contains("\"text\":\"42\""), "scripts do not run here: {answer}");
    Ok(())
}

/// Lanes under way.
pub(crate) struct Hostile {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    lanes: Vec<JoinHandle<Result<()>>>,
}

/// Has every lane of every key send one script after the other.
pub(crate) fn start(gateway: SocketAddr, sources: &[&'static str]) -> Hostile {
    let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let lane = |number: usize, key: &'static str| {
        let (over, sent, sources) = (Arc::clone(&over), Arc::clone(&sent), sources.to_vec());
        thread::spawn(move || {
            for source in sources.iter().cycle().skip(number) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                sent.fetch_add(1, Ordering::Relaxed);
                wire::run(gateway, key, source, &over)?;
            }
            Ok(())
        })
    };
    let keys = HOSTILE.iter().flat_map(|key| [*key; LANES]);
    let lanes = keys.enumerate().map(|(number, key)| lane(number, key)).collect();
    Hostile { over, sent, lanes }
}

impl Hostile {
    /// Hangs up; how many scripts were sent.
    pub(crate) fn end(self) -> Result<usize> {
        self.over.store(true, Ordering::Relaxed);
        for lane in self.lanes {
            let Ok(ended) = lane.join() else { bail!("a lane panicked") };
            ended?;
        }
        Ok(self.sent.load(Ordering::Relaxed))
    }
}
