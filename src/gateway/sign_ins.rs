//! Those who have signed in at an issuer, as one core remembers them: a token is verified once, and then
//! known by its hash until its time is over, or until keys or config have changed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::identity::Identity;
use crate::gateway::issuers::{KeySets, Sets};
use crate::identity::jwt::Fault;
use crate::identity::jwt::token::Token;
use crate::identity::principal::Principal;
use crate::identity::token::KeyHash;
use crate::limits;

/// What one core remembers.
#[derive(Debug)]
pub(super) struct SignIns {
    pub(super) sets: Arc<KeySets>,
    kept: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    identity: Option<Arc<Identity>>,
    number: u64,
    sets: Arc<Sets>,
    /// Counts the changes of the three above: what was verified before is verified again.
    turn: u64,
    tokens: HashMap<KeyHash, (u64, Rc<Principal>)>,
}

/// Somebody whose token is good.
pub(super) struct SignedIn {
    pub(super) who: Rc<Principal>,
    /// Whether this core has not seen the token before.
    pub(super) first: bool,
}

/// A token that is not good.
pub(super) struct NotIn {
    pub(super) fault: Fault,
    /// Whose newer keys could mend it.
    pub(super) source: Option<Arc<str>>,
}

impl From<Fault> for NotIn {
    fn from(fault: Fault) -> Self {
        Self { fault, source: None }
    }
}

impl SignIns {
    pub(super) fn new(sets: Arc<KeySets>) -> Self {
        Self { sets, kept: RefCell::default() }
    }

    /// Who is behind a token at `now_ms`.
    pub(super) fn find(&self, identity: &Arc<Identity>, text: &[u8], now_ms: u64) -> Result<SignedIn, NotIn> {
        let mut kept = self.kept.borrow_mut();
        kept.follow(identity, &self.sets);
        let hash = KeyHash::of(text);
        let turn = kept.turn;
        if let Some((verified, who)) = kept.tokens.get(&hash)
            && *verified == turn
        {
            if !who.has_expired(now_ms) {
                return Ok(SignedIn { who: Rc::clone(who), first: false });
            }
            kept.tokens.remove(&hash);
            return Err(Fault::Expired.into());
        }
        let verified = verify(identity, &kept.sets, text, now_ms);
        let who = match verified {
            Ok(who) => Rc::new(who),
            Err(not_in) => {
                kept.tokens.remove(&hash);
                return Err(not_in);
            }
        };
        if kept.tokens.len() >= limits::SIGN_INS_MAX {
            kept.tokens.retain(|_, (_, who)| !who.has_expired(now_ms));
        }
        if kept.tokens.len() >= limits::SIGN_INS_MAX {
            kept.tokens.clear();
        }
        let first = kept.tokens.insert(hash, (turn, Rc::clone(&who))).is_none();
        Ok(SignedIn { who, first })
    }
}

impl Kept {
    /// Takes what has changed.
    fn follow(&mut self, identity: &Arc<Identity>, sets: &KeySets) {
        let same = self.identity.as_ref().is_some_and(|held| Arc::ptr_eq(held, identity));
        if same && self.number == sets.number() {
            return;
        }
        (self.number, self.sets) = sets.current();
        self.identity = Some(Arc::clone(identity));
        self.turn += 1;
    }
}

fn verify(identity: &Identity, sets: &Sets, text: &[u8], now_ms: u64) -> Result<Principal, NotIn> {
    let token = Token::read(text)?;
    let issuer = identity.issuers.iter().find(|issuer| issuer.terms.made(&token));
    let issuer = issuer.ok_or_else(|| {
        let known = identity.issuers.iter().any(|issuer| token.issuer() == Some(&*issuer.terms.issuer));
        if known { Fault::Audience } else { Fault::Issuer }
    })?;
    let source = &issuer.source.id;
    let keys = sets.get(source).and_then(|source| source.keys.as_deref());
    let verified = match keys {
        Some(keys) => issuer.terms.verify(&token, keys, now_ms / 1000),
        None => Err(Fault::NoKeys),
    };
    let who = verified.map_err(|fault| {
        let newer = matches!(fault, Fault::Key | Fault::NoKeys).then(|| Arc::clone(source));
        NotIn { fault, source: newer }
    })?;
    if identity.is_out(&who) {
        return Err(Fault::Revoked(who.user.as_deref().unwrap_or_default().to_owned()).into());
    }
    Ok(who)
}
