//! The completion-based link: one `recv` and one `send` in flight at most, each owning its buffer.
//!
//! The operations are our own, put into the ring of `tokio-uring` through its public one-shot door,
//! because their futures can be stored and so survive a caller that stops waiting. That removes the
//! hazards of a dropped read by construction: an operation is never abandoned while the link lives,
//! and a link that is dropped shuts its socket down, upon which the kernel completes what is pending
//! and the operation, which holds the last reference, closes the descriptor. The shutdown is also what
//! keeps the memory of abandoned operations valid at the end of the runtime, whose driver frees their data
//! before it cancels them: by then the kernel has let go of it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use io_uring::{cqueue, opcode, types};
use socket2::Socket;
use tokio_uring::{InFlightOneshot, OneshotOutputTransform, UnsubmittedOneshot};

use crate::net::buffer::Buffer;
use crate::net::outgoing::{Outgoing, PIECES_MAX};

/// A connected socket on the ring of this thread.
pub(super) struct UringLink {
    socket: Rc<Socket>,
    recv: Option<InFlightOneshot<Receiving, Receiving0>>,
    send: Option<InFlightOneshot<Sending, Sending0>>,
}

impl UringLink {
    /// Takes over a connected socket. Blocking mode is what makes the ring wait for readiness itself:
    /// on a non-blocking socket an operation that cannot proceed fails with `EAGAIN` instead.
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        Ok(Self { socket: Rc::new(socket), recv: None, send: None })
    }

    /// Receives into `input` at least a byte, 0 at the end of the stream. A receive that is pending from
    /// an earlier call is continued, and what it brings is appended.
    pub(super) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Buffer,
        fresh: impl FnOnce(&mut Buffer) -> Buffer,
    ) -> Poll<io::Result<usize>> {
        let operation = match &mut self.recv {
            Some(operation) => operation,
            none @ None => none.insert(receive(&self.socket, fresh(input))),
        };
        let (result, buffer) = ready!(Pin::new(operation).poll(cx));
        self.recv = None;
        if input.is_empty() {
            *input = buffer;
        } else {
            input.extend(buffer.filled());
        }
        Poll::Ready(result)
    }

    /// Puts a send into the ring; nothing may be on its way out.
    pub(super) fn start_send(&mut self, outgoing: Outgoing) {
        debug_assert!(self.send.is_none(), "one send at a time");
        self.send = Some(send(&self.socket, outgoing, None));
    }

    /// Whether a send is on its way out.
    pub(super) const fn sending(&self) -> bool {
        self.send.is_some()
    }

    /// Waits until all of the send has left and hands its buffers back.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Outgoing>> {
        loop {
            let Some(operation) = &mut self.send else { return Poll::Ready(Ok(Outgoing::default())) };
            let (result, mut done) = ready!(Pin::new(operation).poll(cx));
            self.send = None;
            match result {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(bytes) => done.outgoing.advance(bytes),
                Err(fault) => return Poll::Ready(Err(fault)),
            }
            if done.outgoing.left() == 0 {
                return Poll::Ready(Ok(done.outgoing));
            }
            self.send = Some(send(&self.socket, done.outgoing, done.message));
        }
    }

    /// Ends our direction, so that the peer reads the end of the stream.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }
}

/// Pending operations hold the socket open; shutting it down completes them.
impl Drop for UringLink {
    fn drop(&mut self) {
        if self.recv.is_some() || self.send.is_some() {
            drop(self.socket.shutdown(Shutdown::Both));
        }
    }
}

struct Receiving {
    _socket: Rc<Socket>,
    buffer: Buffer,
}

struct Receiving0;

impl OneshotOutputTransform for Receiving0 {
    type Output = (io::Result<usize>, Buffer);
    type StoredData = Receiving;

    fn transform_oneshot_output(self, mut data: Receiving, entry: cqueue::Entry) -> Self::Output {
        let result = outcome(entry.result());
        if let Ok(bytes) = result {
            data.buffer.advance(bytes);
        }
        (result, data.buffer)
    }
}

fn receive(socket: &Rc<Socket>, mut buffer: Buffer) -> InFlightOneshot<Receiving, Receiving0> {
    let room = buffer.readable_room();
    let bytes = u32::try_from(room.len()).unwrap_or(u32::MAX);
    // The kernel writes to the heap block behind `buffer`, which stays where it is when `buffer` moves.
    let entry = opcode::Recv::new(types::Fd(socket.as_raw_fd()), room.as_mut_ptr(), bytes).build();
    UnsubmittedOneshot::new(Receiving { _socket: Rc::clone(socket), buffer }, Receiving0, entry).submit()
}

struct Sending {
    _socket: Rc<Socket>,
    outgoing: Outgoing,
    message: Option<Box<Message>>,
}

struct Sending0;

impl OneshotOutputTransform for Sending0 {
    type Output = (io::Result<usize>, Sending);
    type StoredData = Sending;

    fn transform_oneshot_output(self, data: Sending, entry: cqueue::Entry) -> Self::Output {
        (outcome(entry.result()), data)
    }
}

/// What `sendmsg` reads: a header that points to a list that points to the pieces. Boxed, because the
/// kernel may read it until the operation completes.
struct Message {
    header: libc::msghdr,
    list: [libc::iovec; PIECES_MAX],
}

fn send(
    socket: &Rc<Socket>,
    outgoing: Outgoing,
    message: Option<Box<Message>>,
) -> InFlightOneshot<Sending, Sending0> {
    const FLAGS: libc::c_int = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
    let fd = types::Fd(socket.as_raw_fd());
    let mut slices = [IoSlice::new(&[]); PIECES_MAX];
    let count = outgoing.slices(&mut slices);
    let first = slices.first().map_or(&[][..], |slice| &**slice);
    let (entry, message) = if count <= 1 {
        let bytes = u32::try_from(first.len()).unwrap_or(u32::MAX);
        (opcode::Send::new(fd, first.as_ptr(), bytes).flags(FLAGS).build(), message)
    } else {
        let mut message = message.unwrap_or_else(empty_message);
        for (place, slice) in message.list.iter_mut().zip(&slices) {
            *place = libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len() };
        }
        message.header.msg_iov = message.list.as_mut_ptr();
        message.header.msg_iovlen = count;
        let flags = FLAGS.cast_unsigned();
        (opcode::SendMsg::new(fd, &raw const message.header).flags(flags).build(), Some(message))
    };
    UnsubmittedOneshot::new(Sending { _socket: Rc::clone(socket), outgoing, message }, Sending0, entry)
        .submit()
}

#[expect(unsafe_code, reason = "a C structure without a constructor")]
fn empty_message() -> Box<Message> {
    // SAFETY: both structures are plain C data made of integers and raw pointers, for which all-zero
    // bytes are a valid value (no name, no list, no control data).
    // WHY: `msghdr` has private padding on some targets, so it cannot be written as a literal there.
    unsafe { Box::new(std::mem::zeroed()) }
}

fn outcome(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_negative| io::Error::from_raw_os_error(-result))
}
