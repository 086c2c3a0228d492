//! One request to a server, up to the head of its answer.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use crate::clock;
use crate::http::head::{Progress, ResponseHead};
use crate::http::refusal::Refusal;
use crate::limits::{self, Timeouts};
use crate::net::deadline::Deadline;
use crate::policy::residency::PlacedPermit;
use crate::upstream::message::Message;
use crate::upstream::pool::{Connection, Pool};
use crate::upstream::site::Site;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection could be made; the request has not been sent.
    #[error("no connection: {0}")]
    Unreachable(io::Error),
    /// The connection ended, or failed, before a byte of the answer.
    #[error("closed before answering: {0}")]
    Closed(io::Error),
    /// What came is not HTTP.
    #[error("not an HTTP answer: {0}")]
    NotHttp(Refusal),
    /// Nothing came in time.
    #[error("no answer in time")]
    TimedOut,
}

impl Failure {
    /// A short stable name for metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Closed(_) => "closed",
            Self::NotHttp(_) => "not_http",
            Self::TimedOut => "timeout",
        }
    }
}

/// What is sent where, and what was allowed.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Proof that policy has allowed this call, and allowed it at this site.
    pub permit: &'a PlacedPermit,
    /// Whom to ask.
    pub site: &'a Arc<Site>,
    /// What to send.
    pub message: &'a Message,
    /// How long to wait.
    pub timeouts: &'a Timeouts,
    /// Whether it may go out once more when a kept connection closes without a word: not where working twice
    /// would do something twice, since the peer may have begun.
    pub again: bool,
    /// Is true as soon as all of the request has been handed to a connection that has not turned out to be
    /// dead since: from then on the peer may be at work.
    pub sent: &'a Cell<bool>,
}

impl Exchange<'_> {
    /// Sends the request and waits for the head of the answer, which then stands at the front of the
    /// connection's input. A warm connection that turns out to be dead is replaced once by a new one, where
    /// the request may go out `again`.
    ///
    /// # Errors
    /// Why there is no answer. After `Unreachable` another provider may be asked without a thought. So ends
    /// what has a permit for another site, too: not a byte of it leaves.
    pub async fn run(
        &self,
        pool: &Pool,
        head: &mut ResponseHead,
        deadline: &mut Deadline,
    ) -> Result<Connection, Failure> {
        if !self.permit.is_for(&self.site.name) {
            let why = io::Error::new(io::ErrorKind::PermissionDenied, "the permit is for another place");
            return Err(Failure::Unreachable(why));
        }
        let begun = clock::now();
        deadline.set(begun, self.timeouts.first_byte);
        if let Some(mut warm) = pool.take(self.site, begun) {
            match self.attempt(&mut warm, head, deadline).await {
                Ok(()) => return Ok(warm),
                // No byte was answered, and at once: the peer had closed it when our request arrived.
                Err(Failure::Closed(_)) if self.again && clock::now() < begun + limits::RESEND_WITHIN => {}
                Err(failure) => return Err(failure),
            }
        }
        self.sent.set(false);
        let mut connection =
            pool.open(self.site, self.timeouts.connect).await.map_err(Failure::Unreachable)?;
        self.attempt(&mut connection, head, deadline).await?;
        Ok(connection)
    }

    async fn attempt(
        &self,
        connection: &mut Connection,
        head: &mut ResponseHead,
        deadline: &mut Deadline,
    ) -> Result<(), Failure> {
        let stream = &mut connection.stream;
        deadline.set(clock::now(), self.timeouts.first_byte);
        stream.start_send(self.message.outgoing());
        let (mut sending, mut refused, mut answered) = (true, false, false);
        loop {
            let filled = poll_fn(|cx| {
                // A provider may answer before it has read everything, so both directions are watched.
                if sending {
                    match stream.poll_send(cx) {
                        Poll::Ready(Ok(_)) => {
                            sending = false;
                            self.sent.set(true);
                        }
                        // It may have answered and closed; the receive will tell.
                        Poll::Ready(Err(_)) => (sending, refused) = (false, true),
                        Poll::Pending => {}
                    }
                }
                match stream.poll_fill(cx, limits::IDLE_READ_BYTES / 2) {
                    Poll::Ready(result) => Poll::Ready(Some(result)),
                    Poll::Pending => deadline.poll_passed(cx).map(|()| None),
                }
            });
            let received: io::Result<()> = match filled.await {
                None => return Err(Failure::TimedOut),
                Some(Err(fault)) => Err(fault),
                Some(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
                Some(Ok(_)) => Ok(()),
            };
            match received {
                Ok(()) => answered = true,
                // Only without a single byte of answer may the request be taken for not received.
                Err(_) if answered => return Err(Failure::NotHttp(Refusal::BadStatusLine)),
                Err(fault) => return Err(Failure::Closed(fault)),
            }
            while head.parse(stream.input(), false).map_err(Failure::NotHttp)? == Progress::Complete {
                if !head.is_interim() {
                    // An answer before the end of the request leaves the connection in an unknown state.
                    head.keep_alive &= !sending && !refused;
                    return Ok(());
                }
                stream.consume(head.bytes);
            }
        }
    }
}
