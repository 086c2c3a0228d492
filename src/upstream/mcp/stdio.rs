//! A server that we run: a child process that reads messages from its standard input and writes them to its
//! standard output, one a line (specification, "Transports", stdio, all revisions).
//!
//! What it writes is believed in nothing: lines are bounded, what is no JSON is counted, and its standard
//! error is drained for the log at a bounded rate, so that it never stands still because nobody listens.

use std::fmt;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle, spawn_local};
use tokio::time::timeout;

use crate::clock;
use crate::json::{Cursor, Fault, Kind};
use crate::limits;
use crate::net::child::{Child, Graces, Input, Start, Started, start};
use crate::net::lines::{Line, Lines};
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::remarks::{Remark, Remarks};
use crate::upstream::mcp::server::Program;
use crate::upstream::mcp::{Failure, Incoming, Messages};

/// How long a child process is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For it to read a message.
    pub write: Duration,
    /// For it to end.
    pub graces: Graces,
}

impl Default for Patience {
    fn default() -> Self {
        Self { write: limits::MCP_WRITE_DEADLINE, graces: Graces::default() }
    }
}

/// The way to a child process. Dropping it kills the process and those that it started at once.
pub struct StdioSender {
    id: i32,
    queue: mpsc::UnboundedSender<Write>,
    /// A permit for each byte that may still be queued.
    room: Arc<Semaphore>,
    patience: Duration,
    stopping: watch::Sender<bool>,
    over: watch::Receiver<bool>,
    tasks: [AbortHandle; 3],
}

impl fmt::Debug for StdioSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StdioSender({})", self.id)
    }
}

impl Drop for StdioSender {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// A line on its way in.
struct Write {
    line: Vec<u8>,
    /// Given back when the line has been written.
    room: OwnedSemaphorePermit,
    /// Closed when nobody waits for it any more: a line that has not been begun is then left out.
    done: oneshot::Sender<Result<(), Failure>>,
}

/// Bytes that a queued message is counted with beside its own.
const WRITE_OVERHEAD_BYTES: usize = 256;

/// Starts the program; to be called inside of a `LocalSet`. What it says comes out of the receiver: a
/// `Message` for each line that is a JSON object or array, `Failed(TooLarge)` for one that is too large, and
/// in the end one other `Failed`: `Ended`, or `Garbage` after `limits::MCP_GARBAGE_LINES_MAX` lines in a row
/// that are no JSON. While nobody takes what comes out, the process is not read.
///
/// When a line that is too large can be seen to answer a request, `TooLarge` with its id stands in for it, so
/// that its call does not wait for nothing.
///
/// # Errors
/// `Unreachable`, with the system's reason.
pub fn open(
    program: &Program,
    patience: Patience,
    on_remark: impl Fn(Remark<'_>) + 'static,
) -> Result<(StdioSender, Messages), Failure> {
    let started = start(&Start {
        command: &program.command,
        args: &program.args,
        env: &program.env,
        cwd: &program.cwd,
        confines: &program.confines,
        output_line_bytes_max: limits::MCP_MESSAGE_BYTES_MAX,
        errors_line_bytes_max: limits::MCP_STDERR_LINE_BYTES_MAX,
    });
    let Started { child, input, output, errors } = started.map_err(Failure::Unreachable)?;
    let id = child.id();
    let remarks = Rc::new(Remarks::new(&program.env, on_remark));
    let (queue, writes) = mpsc::unbounded_channel();
    let (tell, messages) = mpsc::channel(limits::MCP_LINES_MAX);
    let (stopping, stop) = watch::channel(false);
    let (end, over) = watch::channel(false);

    let writer = spawn_local(write_all(input, writes)).abort_handle();
    let listening = spawn_local(listen(errors, Rc::clone(&remarks)));
    let listener = listening.abort_handle();
    let keeper = Keeper { child, tell, remarks, writer: writer.clone(), listening, graces: patience.graces };
    let keeper = spawn_local(keeper.keep(output, stop, end)).abort_handle();
    let room = Arc::new(Semaphore::new(limits::MCP_WRITE_BYTES_MAX));
    let tasks = [writer, listener, keeper];
    Ok((StdioSender { id, queue, room, patience: patience.write, stopping, over, tasks }, messages))
}

impl StdioSender {
    /// The number of the process.
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// Writes a message, one JSON document, as a line; waits until the process has taken it into its pipe.
    /// Given up before it has been begun it is not written; begun, it is written whole.
    ///
    /// # Errors
    /// `Unreachable` when the process has ended or closed its input, `Ended` when that happens meanwhile,
    /// `TimedOut` when it does not read.
    pub async fn send(&self, _permit: &PlacedPermit, body: Vec<u8>) -> Result<(), Failure> {
        match timeout(self.patience, self.queued(one_line(body))).await {
            Ok(sent) => sent,
            Err(_elapsed) => Err(Failure::TimedOut),
        }
    }

    async fn queued(&self, line: Vec<u8>) -> Result<(), Failure> {
        let share = (line.len() + WRITE_OVERHEAD_BYTES).min(limits::MCP_WRITE_BYTES_MAX);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        let gone = || Failure::Unreachable(io::ErrorKind::BrokenPipe.into());
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(share).await else { return Err(gone()) };
        let (done, written) = oneshot::channel();
        if self.queue.send(Write { line, room, done }).is_err() {
            return Err(gone());
        }
        written.await.unwrap_or(Err(Failure::Ended))
    }

    /// Ends the process: closes its input, waits, SIGTERM, waits, SIGKILL, to its whole group. Done when it
    /// has ended; a second call waits for the first.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        // An error means that the task which would tell has ended itself.
        drop(self.over.clone().wait_for(|over| *over).await);
    }
}

/// Makes one line of a JSON document: line ends stand only between its tokens, where a space does as well.
/// A lone CR ends a line for some readers, so it goes too.
fn one_line(mut body: Vec<u8>) -> Vec<u8> {
    for byte in &mut body {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    body.push(b'\n');
    body
}

/// Writes line after line; ends when the process does not take them any more.
async fn write_all(mut input: Input, mut writes: mpsc::UnboundedReceiver<Write>) {
    while let Some(Write { line, room, done }) = writes.recv().await {
        if done.is_closed() {
            continue;
        }
        let written = input.write(&line).await;
        drop(room);
        let broken = written.is_err();
        // Nobody may wait any more, which is no fault.
        done.send(written.map_err(Failure::Unreachable)).unwrap_or_default();
        if broken {
            return;
        }
    }
}

/// Hands the lines of standard error on.
async fn listen(mut errors: Lines, remarks: Rc<Remarks>) {
    while let Ok(Some(line)) = errors.next().await {
        remarks.said(line.bytes(), clock::now());
    }
}

/// Keeps the process: reads it, notices its end, ends it.
struct Keeper {
    child: Child,
    tell: mpsc::Sender<Incoming>,
    remarks: Rc<Remarks>,
    writer: AbortHandle,
    listening: JoinHandle<()>,
    graces: Graces,
}

impl Keeper {
    async fn keep(self, mut output: Lines, mut stop: watch::Receiver<bool>, end: watch::Sender<bool>) {
        let Self { child, tell, remarks, writer, mut listening, graces } = self;
        let mut read = pin!(relay(&mut output, &tell, &remarks));
        let why = tokio::select! {
            biased;
            failure = read.as_mut() => Why::Said(failure),
            // What it wrote last is still read. Another process that holds its output may go on for ever.
            () = child.ended() => match timeout(graces.term, read.as_mut()).await {
                Ok(failure) => Why::Said(failure),
                Err(_elapsed) => Why::Gone,
            },
            _ = stop.wait_for(|stop| *stop) => Why::Asked,
            () = tell.closed() => Why::Asked,
        };
        writer.abort();
        if !matches!(why, Why::Asked) {
            // Why it ended often stands there, and who hears of the end may drop everything.
            drop(timeout(limits::MCP_LAST_WORDS, &mut listening).await);
        }
        let over = |status| {
            remarks.ended(status);
            end.send_replace(true);
        };
        // In all cases the failure is the last that is told; that nobody listens any more is no fault.
        let told = |failure| async { drop(tell.send(Incoming::Failed(failure)).await) };
        match why {
            Why::Said(failure) => {
                let stopped = async { over(child.stop(graces, async {}).await) };
                tokio::join!(stopped, told(failure));
            }
            Why::Gone => {
                over(child.kill().await);
                told(Failure::Ended).await;
            }
            Why::Asked => {
                over(child.stop(graces, async { drop(read.await) }).await);
                told(Failure::Ended).await;
            }
        }
    }
}

/// Why a process is not kept any longer.
enum Why {
    /// It closed its output, or what it writes cannot be understood.
    Said(Failure),
    /// It ended, and left its output open to another process.
    Gone,
    /// Nobody wants it any more.
    Asked,
}

/// Hands messages on until there are no more; says why.
async fn relay(output: &mut Lines, tell: &mpsc::Sender<Incoming>, remarks: &Remarks) -> Failure {
    let mut garbage = 0;
    // An error of a pipe is as good as its end.
    while let Ok(Some(line)) = output.next().await {
        let incoming = match line {
            Line::TooLarge(head) => stand_in(&head),
            Line::Whole(bytes) | Line::Partial(bytes) if is_document(&bytes) => Incoming::Message(bytes),
            Line::Whole(bytes) | Line::Partial(bytes) => {
                garbage += 1;
                remarks.garbage(&bytes, clock::now());
                if garbage == limits::MCP_GARBAGE_LINES_MAX {
                    return Failure::Garbage(format!("{garbage} lines in a row that are no JSON"));
                }
                continue;
            }
        };
        garbage = 0;
        if tell.send(incoming).await.is_err() {
            return Failure::Ended;
        }
    }
    Failure::Ended
}

/// Whether the line is one JSON object or array.
fn is_document(line: &[u8]) -> bool {
    let mut cursor = Cursor::new(line);
    cursor
        .skip()
        .is_ok_and(|value| matches!(value.kind, Kind::Object | Kind::Array) && cursor.finish().is_ok())
}

/// What comes in place of a message that is too large.
fn stand_in(head: &[u8]) -> Incoming {
    match answered(head) {
        Ok(Some(id)) => Incoming::TooLarge(id),
        Ok(None) | Err(_) => Incoming::Failed(Failure::TooLarge),
    }
}

/// The id of the request that the message of this beginning answers, as far as the beginning tells.
fn answered(head: &[u8]) -> Result<Option<u64>, Fault> {
    let mut cursor = Cursor::new(head);
    cursor.enter_object()?;
    let mut id = None;
    while let Some(key) = cursor.key()? {
        match key.raw {
            b"result" | b"error" => return Ok(id),
            b"id" => id = cursor.skip()?.as_u64(head),
            b"jsonrpc" => _ = cursor.skip()?,
            _ => break,
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::Future;
    use std::path::PathBuf;
    use std::rc::Rc;
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::{Patience, StdioSender, is_document, one_line, open, stand_in};
    use crate::limits;
    use crate::net::child::Graces;
    use crate::net::confine::Confines;
    use crate::net::engine::EngineChoice;
    use crate::net::runtime::Runtime;
    use crate::policy::residency::PlacedPermit;
    use crate::secret::Secret;
    use crate::upstream::mcp::server::Program;
    use crate::upstream::mcp::{Failure, Incoming, Messages};

    const SHORT: Patience = Patience {
        write: Duration::from_millis(300),
        graces: Graces { close: Duration::from_millis(300), term: Duration::from_millis(300) },
    };

    fn on_epoll<F: Future<Output = ()>>(case: F) {
        let (runtime, _) = Runtime::new(EngineChoice::Epoll).unwrap();
        runtime.block_on(async { timeout(Duration::from_secs(30), case).await.expect("the case hangs") });
    }

    type Log = Rc<RefCell<Vec<String>>>;

    fn shell(script: &str, patience: Patience) -> (StdioSender, Messages, Log) {
        let log = Log::default();
        let sink = Rc::clone(&log);
        let program = Program {
            command: "sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: vec![("TOKEN".to_owned(), Secret::new("very-secret"))],
            cwd: PathBuf::from("/"),
            confines: Confines::default(),
        };
        let opened = open(&program, patience, move |remark| sink.borrow_mut().push(format!("{remark:?}")));
        let (sender, messages) = opened.unwrap();
        (sender, messages, log)
    }

    /// What comes next, as a text: the message, or how it failed.
    async fn next(messages: &mut Messages) -> String {
        match messages.recv().await {
            Some(Incoming::Message(bytes)) => String::from_utf8(bytes).unwrap(),
            Some(Incoming::Failed(failure)) => failure.to_string(),
            other => format!("{other:?}"),
        }
    }

    async fn send(sender: &StdioSender, body: &str) -> Result<(), Failure> {
        sender.send(&PlacedPermit::for_tests(), body.as_bytes().to_vec()).await
    }

    #[test]
    fn a_message_goes_in_as_one_line_and_comes_back() {
        on_epoll(async {
            let (sender, mut messages, log) = shell("cat; echo bye $TOKEN >&2; exit 4", Patience::default());
            send(&sender, "{\r\n \"id\": 1\n}").await.unwrap();
            assert_eq!(next(&mut messages).await, "{   \"id\": 1 }");
            send(&sender, "[{}]").await.unwrap();
            assert_eq!(next(&mut messages).await, "[{}]");
            sender.stop().await;
            assert_eq!(next(&mut messages).await, Failure::Ended.to_string());
            assert!(messages.recv().await.is_none(), "nothing follows");
            assert!(matches!(send(&sender, "{}").await, Err(Failure::Unreachable(_))));
            while log.borrow().len() < 2 {
                sleep(Duration::from_millis(10)).await;
            }
            log.borrow_mut().sort();
            let status = |line: &String| line.contains("Ended(Some(ExitStatus(unix_wait_status(1024))))");
            assert!(log.borrow().iter().any(status), "{log:?}");
            assert!(log.borrow().contains(&"Said(\"bye ***\")".to_owned()), "{log:?}");
        });
    }

    #[test]
    fn the_order_of_messages_is_kept() {
        on_epoll(async {
            let (sender, mut messages, _) = shell("cat", Patience::default());
            let sent = async {
                for number in 0..500 {
                    send(&sender, &format!("{{\"n\":{number}}}")).await.unwrap();
                }
            };
            let read = async {
                for number in 0..500 {
                    assert_eq!(next(&mut messages).await, format!("{{\"n\":{number}}}"));
                }
            };
            tokio::join!(sent, read);
        });
    }

    #[test]
    fn a_line_that_is_too_large_is_thrown_away() {
        on_epoll(async {
            let large = "head -c 10000000 /dev/zero | tr '\\0' x";
            let answer = format!("printf '{{\"id\":7,\"result\":\"'; {large}; echo '\"}}'");
            let script = format!("{large}; echo; {answer}; echo '{{\"after\":1}}'");
            let (_sender, mut messages, _) = shell(&script, Patience::default());
            assert_eq!(next(&mut messages).await, Failure::TooLarge.to_string());
            assert_eq!(next(&mut messages).await, "Some(TooLarge(7))");
            assert_eq!(next(&mut messages).await, "{\"after\":1}");
            assert_eq!(next(&mut messages).await, Failure::Ended.to_string());
        });
    }

    #[test]
    fn only_answers_are_stood_in_for() {
        let cases: &[(&str, bool)] = &[
            ("{\"id\":7,\"result\":{\"a\":[", true),
            ("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":", true),
            ("{\"result\":{\"a\":[", false),
            ("{\"id\":7,\"method\":\"x\",\"params\":{", false),
            ("{\"id\":\"7\",\"result\":", false),
            ("xxxx", false),
        ];
        for (head, expected) in cases {
            let stands = matches!(stand_in(head.as_bytes()), Incoming::TooLarge(7));
            assert_eq!(stands, *expected, "{head}");
        }
    }

    #[test]
    fn some_garbage_is_passed_over_and_much_of_it_is_not() {
        on_epoll(async {
            let (sender, mut messages, log) =
                shell("echo Listening on stdio; echo 17; echo '{\"a\":'; echo ' {}'; cat", SHORT);
            assert_eq!(next(&mut messages).await, " {}");
            assert_eq!(log.borrow()[0], "Garbage(\"Listening on stdio\")");
            assert_eq!(log.borrow().len(), 3);
            drop(sender);

            let (_sender, mut messages, log) = shell("while :; do echo spam; done", SHORT);
            assert!(next(&mut messages).await.contains("cannot be understood"));
            assert!(messages.recv().await.is_none());
            let most = limits::MCP_GARBAGE_LINES_MAX as usize + 1;
            assert!(log.borrow().len() <= most && log.borrow().last().unwrap().starts_with("Ended"));
        });
    }

    #[test]
    fn a_process_that_does_not_read_is_not_waited_for_for_ever() {
        on_epoll(async {
            let (sender, _messages, _) = shell("exec sleep 1000", SHORT);
            let large = format!("\"{}\"", "x".repeat(1_000_000));
            assert!(matches!(send(&sender, &large).await, Err(Failure::TimedOut)));
            // The next waits behind it, and is not begun.
            assert!(matches!(send(&sender, "{}").await, Err(Failure::TimedOut)));
        });
    }

    #[test]
    fn what_is_given_up_is_left_out_and_nothing_is_torn() {
        on_epoll(async {
            let (sender, mut messages, _) = shell("sleep 1; cat", SHORT);
            let large = format!("[\"{}\"]", "x".repeat(1_000_000));
            assert!(matches!(send(&sender, &large).await, Err(Failure::TimedOut)));
            assert!(matches!(send(&sender, "{\"left\":\"out\"}").await, Err(Failure::TimedOut)));
            assert_eq!(next(&mut messages).await, large);
            send(&sender, "{\"and\":\"on\"}").await.unwrap();
            assert_eq!(next(&mut messages).await, "{\"and\":\"on\"}");
        });
    }

    #[test]
    fn a_flood_on_standard_error_stops_nothing() {
        on_epoll(async {
            let flood = "head -c 3000000 /dev/zero | tr '\\0' x >&2; yes no | head -n 200000 >&2; ";
            let (_sender, mut messages, log) = shell(&format!("{flood} echo '{{}}'"), SHORT);
            assert_eq!(next(&mut messages).await, "{}");
            assert_eq!(next(&mut messages).await, Failure::Ended.to_string());
            let log = log.borrow();
            assert!(log.len() <= limits::MCP_STDERR_LINES_MAX as usize + 4, "{} remarks", log.len());
            assert!(log.iter().all(|line| line.len() < limits::MCP_STDERR_LINE_BYTES_MAX + 100));
        });
    }

    #[test]
    fn the_end_is_told_although_another_process_holds_the_output() {
        on_epoll(async {
            let (_sender, mut messages, log) = shell("echo '{}'; sleep 1000 & exit 2", SHORT);
            assert_eq!(next(&mut messages).await, "{}");
            assert_eq!(next(&mut messages).await, Failure::Ended.to_string());
            assert!(log.borrow().iter().any(|line| line.contains("Ended(Some")), "{log:?}");
        });
    }

    #[test]
    fn one_that_ignores_everything_is_killed() {
        on_epoll(async {
            let (sender, mut messages, log) =
                shell("trap '' TERM; echo '{}'; while :; do sleep 0.05; done", SHORT);
            assert_eq!(next(&mut messages).await, "{}");
            // Two that ask at once both wait for the one end.
            tokio::join!(sender.stop(), sender.stop());
            assert_eq!(log.borrow().as_slice(), ["Ended(Some(ExitStatus(unix_wait_status(9))))"]);
        });
    }

    #[test]
    fn a_document_is_one_object_or_array() {
        for (line, expected) in [
            ("{}", true),
            (" [1] ", true),
            ("{\"a\":{}}", true),
            ("1", false),
            ("\"a\"", false),
            ("", false),
            ("{} {}", false),
            ("{", false),
            ("null", false),
            ("{\"a\":\"\u{1}\"}", false),
        ] {
            assert_eq!(is_document(line.as_bytes()), expected, "{line:?}");
        }
        assert!(!is_document(b"{\"\xff\":1}"));
        assert_eq!(one_line(b"{\n\r}".to_vec()), b"{  }\n");
    }
}
