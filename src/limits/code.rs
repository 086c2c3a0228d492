//! The bounds of scripts that call tools.

use std::time::Duration;

/// Bytes of a script. A model writes a page or two.
pub const CODE_SOURCE_BYTES_MAX: usize = 64 * 1024;

/// Bytes that the engine may have for the values of a script: some results of tools, read into objects.
pub const CODE_MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes that the whole process of a script may write to: what the engine may have, a result on its way in,
/// as text and copied, and the program itself.
pub const CODE_PROCESS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of the engine's stack: some thousands of calls inside of each other. A main thread has at least
/// eight times as many.
pub const CODE_STACK_BYTES_MAX: usize = 1024 * 1024;

/// How long a script may run, its calls included: clients give up on a tool after a minute.
pub const CODE_TIME: Duration = Duration::from_secs(30);

/// How much later its process is killed, should it not have ended itself.
pub const CODE_KILL_MARGIN: Duration = Duration::from_secs(2);

/// Seconds of processor time after which the kernel ends the process of a script, whoever else has failed.
pub const CODE_CPU_S: u64 = 60;

/// Priority of the processes of scripts, as `nice` has it, where the system has nothing lower: the lowest.
pub const CODE_NICE: i32 = 19;

/// Scripts that wait for the start of their process: as many as have a turn, and as many that were given up.
pub const CODE_STARTS_MAX: usize = 2 * CODE_RUNS_MAX;

/// How long a script waits for the start of its process, which stands back behind all that callers wait for.
pub const CODE_START: Duration = Duration::from_secs(10);

/// The time between the starts of two processes: each takes some milliseconds of a processor, much of it the
/// kernel's own work, which gives way to nobody, and as much again when the memory of one that has ended is
/// taken back. As many scripts as may run at once, of a fifth of a second each, never wait for it.
pub const CODE_START_EVERY: Duration = Duration::from_millis(50);

/// Calls of tools that a script may make: what a person would still read in a ledger.
pub const CODE_CALLS_MAX: u32 = 50;

/// Calls of one script that are under way at once; the others wait for their turn.
pub const CODE_CALLS_AT_ONCE_MAX: usize = 8;

/// The time between the begins of two calls of scripts, of all together, so that whoever else the hub serves
/// does not wait behind all calls that scripts have at once. A server's answer takes longer.
pub const CODE_CALL_EVERY: Duration = Duration::from_millis(1);

/// Bytes of a frame from which it is large: it is worked on in steps, with time for others between two, and
/// those of all scripts one after the other.
pub const CODE_LARGE_BYTES: usize = 32 * 1024;

/// Bytes of large frames that are worked on in a millisecond, all scripts together: what is in them is looked
/// at and copied some times on its way, for which the hub takes a hundredth of that time.
pub const CODE_LARGE_BYTES_PER_MS: usize = 4 * 1024;

/// Bytes that a frame counts for by itself: many small ones are as much work as a large one.
pub const CODE_FRAME_COST_BYTES: usize = 256;

/// What the answer of a tool counts for, as a part of its bytes: it is looked at and copied less often.
pub const CODE_GIVEN_PARTS: usize = 4;

/// Bytes of the arguments of one call.
pub const CODE_ARGUMENTS_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of what one call gives a script. As objects it takes a few times as many.
pub const CODE_VALUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of what all calls give a script: they wait for it to read them.
pub const CODE_VALUES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of what a script returns. Clients show a model about a tenth of it.
pub const CODE_RESULT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of what a script writes to its console; the rest is left out.
pub const CODE_LOG_BYTES_MAX: usize = 16 * 1024;

/// Bytes of what is said of an error, the script's own words among them.
pub const CODE_ERROR_BYTES_MAX: usize = 2 * 1024;

/// Bytes of a frame of a worker: arguments as a text inside of a text, where quotes take two.
pub const CODE_FRAME_BYTES_MAX: usize = 2 * CODE_ARGUMENTS_BYTES_MAX + 64 * 1024;

/// Bytes of a frame to a worker.
pub const CODE_ORDER_BYTES_MAX: u64 = 2 * CODE_VALUE_BYTES_MAX as u64 + 64 * 1024;

/// Bytes of a line that a worker writes to its standard error, where nothing is expected.
pub const CODE_ERRORS_LINE_BYTES_MAX: usize = 1024;

/// Scripts that run at once: each may want a core.
pub const CODE_RUNS_MAX: usize = 4;

/// Scripts of one key that run at once: there is always a turn that it cannot have.
pub const CODE_RUNS_OF_KEY_MAX: usize = CODE_RUNS_MAX - 1;

/// Scripts of one key that run or wait: a client calls some tools at once, not dozens.
pub const CODE_PLACES_OF_KEY_MAX: usize = 8;

/// Scripts that wait for their turn, of all keys.
pub const CODE_WAITING_MAX: usize = 64;

/// How long a script waits for its turn.
pub const CODE_WAIT: Duration = Duration::from_secs(10);

const _: () = {
    assert!(CODE_RESULT_BYTES_MAX <= CODE_ARGUMENTS_BYTES_MAX);
    assert!(CODE_VALUE_BYTES_MAX <= CODE_VALUES_BYTES_MAX);
    assert!(CODE_LOG_BYTES_MAX + CODE_ERROR_BYTES_MAX < CODE_FRAME_BYTES_MAX);
    assert!((CODE_MEMORY_BYTES_MAX as u64) < CODE_PROCESS_BYTES_MAX);
    assert!(CODE_VALUE_BYTES_MAX <= super::MCP_MESSAGE_BYTES_MAX);
};
