//! The worker's end: it is told a script, runs it, says what comes of it, and ends.

use std::io::{self, BufRead, Read, Write};
use std::time::Duration;

use crate::clock;
use crate::limits;
use crate::script::engine;
use crate::script::frames::{Order, Said, cut};

/// Runs the one script that comes in. To be called in a process that may do nothing else any more, which ends
/// after this.
///
/// # Errors
/// Of the pipes, or when what comes in is no frame: then nobody is there to tell.
pub fn serve(input: impl BufRead + 'static, output: impl Write + 'static) -> io::Result<()> {
    serve_for(limits::CODE_TIME, input, output)
}

/// The same for so long at most.
pub(super) fn serve_for(
    time: Duration,
    input: impl BufRead + 'static,
    output: impl Write + 'static,
) -> io::Result<()> {
    let mut pipe = Pipe { input: Box::new(input), output: Box::new(output), calls: 0, logged: 0 };
    let Order::Run { source } = pipe.hear()? else { return Err(odd("a worker is told a script first")) };
    let until = clock::now() + time;
    let (pipe, ended) = engine::run(&source, pipe, until);
    let last = match ended {
        Ok(Some(value)) if value.len() > limits::CODE_RESULT_BYTES_MAX => {
            let (bytes, most) = (value.len(), limits::CODE_RESULT_BYTES_MAX);
            let why = format!(
                "the script returned {bytes} bytes, and at most {most} can be: return less, such as counts, \
                 some fields, the first rows"
            );
            Said::Failed { why }
        }
        Ok(value) => Said::Done { value },
        Err(why) => Said::Failed { why: cut(why, limits::CODE_ERROR_BYTES_MAX) },
    };
    pipe.borrow_mut().say(&last)
}

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// Both pipes, and what has gone through them.
pub(super) struct Pipe {
    input: Box<dyn BufRead>,
    output: Box<dyn Write>,
    /// Calls that were made.
    calls: u32,
    /// Bytes that were written to the console.
    logged: usize,
}

impl Pipe {
    /// Waits for the next order.
    pub(super) fn hear(&mut self) -> io::Result<Order> {
        let mut line = Vec::new();
        let mut input = self.input.as_mut().take(limits::CODE_ORDER_BYTES_MAX);
        if input.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Order::read(&line).map_err(|fault| odd(&fault.to_string()))
    }

    fn say(&mut self, said: &Said) -> io::Result<()> {
        self.output.write_all(&said.line())?;
        self.output.flush()
    }

    /// Asks for a call; why there will be none, otherwise.
    pub(super) fn call(&mut self, id: u32, name: String, arguments: String) -> Result<(), String> {
        if self.calls >= limits::CODE_CALLS_MAX {
            let most = limits::CODE_CALLS_MAX;
            return Err(format!("a script makes at most {most} calls: make fewer, or run another script"));
        }
        if name.len() > limits::MCP_NAME_BYTES_MAX {
            return Err("no tool has such a long name".to_owned());
        }
        if arguments.len() > limits::CODE_ARGUMENTS_BYTES_MAX {
            let (bytes, most) = (arguments.len(), limits::CODE_ARGUMENTS_BYTES_MAX);
            return Err(format!("the arguments have {bytes} bytes, and at most {most} can be sent"));
        }
        self.calls += 1;
        let said = self.say(&Said::Call { id, name, arguments });
        said.map_err(|_gone| "nobody is there to make calls any more".to_owned())
    }

    /// Writes to the console, as much as it takes.
    pub(super) fn log(&mut self, text: &str) {
        let room = limits::CODE_LOG_BYTES_MAX.saturating_sub(self.logged);
        if room == 0 {
            return;
        }
        // A line is counted with its end.
        self.logged =
            self.logged.saturating_add(text.len()).saturating_add(1).min(limits::CODE_LOG_BYTES_MAX);
        let end = text.floor_char_boundary(room.saturating_add(1));
        let part = text.get(..end).unwrap_or_default().to_owned();
        // Where nobody reads any more, the next call or the end finds out.
        self.say(&Said::Log { text: cut(part, room) }).unwrap_or_default();
    }
}
