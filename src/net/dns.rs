//! Names to addresses, remembered for a while, without blocking the thread that asks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

use tokio::time::timeout;

use crate::limits;

/// The addresses that a core has looked up.
#[derive(Default)]
pub struct Resolver {
    known: RefCell<HashMap<(Rc<str>, u16), Known>>,
    /// Answers in the place of the system.
    #[cfg(test)]
    answers: Option<RefCell<Answers>>,
}

#[cfg(test)]
type Answers = Box<dyn FnMut(&str) -> Vec<SocketAddr>>;

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("known", &self.known).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Known {
    addresses: Rc<[SocketAddr]>,
    until: Instant,
}

impl Resolver {
    /// Finds the addresses of `host`, at most `limits::ADDRESSES_MAX`, in the order of the system's
    /// resolver. When a look-up fails, what was known before is used: a provider does not move because
    /// our name server is down.
    ///
    /// # Errors
    /// The resolver's, when nothing is known either.
    pub async fn resolve(&self, host: &str, port: u16, now: Instant) -> io::Result<Rc<[SocketAddr]>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Rc::from([SocketAddr::new(address, port)]));
        }
        let key = (Rc::from(host), port);
        let stale = match self.known.borrow().get(&key) {
            Some(known) if known.until > now => return Ok(Rc::clone(&known.addresses)),
            Some(known) => Some(Rc::clone(&known.addresses)),
            None => None,
        };
        let found = self.ask(host, port).await;
        let (addresses, result) = match (found, stale) {
            (Ok(addresses), _) if !addresses.is_empty() => (Rc::clone(&addresses), Ok(addresses)),
            // Kept for another while, so that not every connection waits for a resolver that is down.
            (_, Some(stale)) => (Rc::clone(&stale), Ok(stale)),
            (Ok(_none), None) => {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
            (Err(fault), None) => return Err(fault),
        };
        let mut known = self.known.borrow_mut();
        if known.len() >= limits::DNS_NAMES_MAX {
            known.clear();
        }
        known.insert(key, Known { addresses, until: now + limits::DNS_TTL });
        result
    }

    async fn ask(&self, host: &str, port: u16) -> io::Result<Rc<[SocketAddr]>> {
        #[cfg(test)]
        if let Some(answers) = &self.answers {
            return Ok(answers.borrow_mut()(host).into());
        }
        // The system's resolver runs on a thread of its own, not on this one.
        let asked = timeout(limits::DNS_DEADLINE, tokio::net::lookup_host((host, port))).await;
        asked
            .unwrap_or_else(|_elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, "the resolver is silent")))
            .map(|addresses| addresses.take(limits::ADDRESSES_MAX).collect())
    }

    /// One that asks `answer` instead of the system.
    #[cfg(test)]
    pub(crate) fn answering(answer: impl FnMut(&str) -> Vec<SocketAddr> + 'static) -> Self {
        Self { known: RefCell::default(), answers: Some(RefCell::new(Box::new(answer))) }
    }

    /// Forgets a name whose addresses have all failed, so that the next call looks again.
    pub fn forget(&self, host: &str, port: u16) {
        self.known.borrow_mut().remove(&(Rc::from(host), port));
    }
}
