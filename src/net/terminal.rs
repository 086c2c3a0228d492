//! What a program may know of the terminal it writes to.

use std::io;

/// How many characters fit into a line of standard output; nothing where that is no terminal.
pub fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    // Some say nothing by saying zero.
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}
