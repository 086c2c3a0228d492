//! The services that hand out credentials for a while: those beside machines of three clouds, and AWS's STS.
//!
//! Each answer has another number in it, so that what is shown elsewhere tells from which one it is.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{After, Exchange, Peer, Seen};
use crate::program::eventually;

/// How long a test waits for something that takes seconds on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a test sees of the service and tells it.
#[derive(Default)]
pub(crate) struct Till {
    /// Seconds for which what it hands out is good.
    pub(crate) life_s: u64,
    /// It refuses everybody.
    pub(crate) shut: AtomicBool,
    /// It answers nobody for as long as this is held.
    pub(crate) hold: Mutex<()>,
    rounds: Mutex<Vec<Round>>,
    refused: AtomicU64,
}

/// One time that it has handed out something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) at: SystemTime,
    pub(crate) until: SystemTime,
}

impl Till {
    /// Waits until it has handed out something so many times.
    #[track_caller]
    pub(crate) fn round(&self, count: usize) -> Round {
        let mut found = None;
        eventually("credentials are fetched", DEADLINE, || {
            found = self.rounds.lock().expect("no holder panics").get(count - 1).copied();
            found.is_some()
        });
        found.expect("there is one")
    }

    /// Waits until it has refused once more.
    #[track_caller]
    pub(crate) fn refuses(&self) {
        let before = self.refused.load(Ordering::SeqCst);
        eventually("it is asked in vain", DEADLINE, || self.refused.load(Ordering::SeqCst) > before);
    }

    fn next(&self) -> (usize, Round) {
        let at = SystemTime::now();
        let round = Round { at, until: at + Duration::from_secs(self.life_s) };
        let mut rounds = self.rounds.lock().expect("no holder panics");
        rounds.push(round);
        (rounds.len(), round)
    }
}

/// Starts the service.
pub(crate) fn start(life_s: u64) -> (Peer, Arc<Till>) {
    let till = Arc::new(Till { life_s, ..Till::default() });
    let own = Arc::clone(&till);
    (Peer::start(move |seen, exchange| answer(&own, seen, exchange)), till)
}

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

fn answer(till: &Till, seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    drop(till.hold.lock().expect("no holder panics"));
    if till.shut.load(Ordering::SeqCst) {
        till.refused.fetch_add(1, Ordering::SeqCst);
        exchange.answer(500, &[("Content-Type", "text/html")], b"<html>SECRET</html>")?;
        return Ok(After::KeepOpen);
    }
    let session = || seen.header("x-aws-ec2-metadata-token") == Some("session-1");
    let (kind, body) = match (&*seen.method, seen.path()) {
        ("PUT", "/latest/api/token") if seen.header("x-aws-ec2-metadata-token-ttl-seconds").is_some() => {
            ("text/plain", "session-1".to_owned())
        }
        ("GET", ROLES) if session() => ("text/plain", "tollgate-role".to_owned()),
        ("GET", path) if path == format!("{ROLES}tollgate-role") && session() => {
            let (number, round) = till.next();
            let document = json!({ "Code": "Success", "LastUpdated": written(round.at), "Type": "AWS-HMAC",
                "AccessKeyId": format!("ASIAROUND{number}"), "SecretAccessKey": format!("secret-{number}"),
                "Token": format!("token-{number}"), "Expiration": written(round.until) });
            ("text/plain", document.to_string())
        }
        ("GET", "/computeMetadata/v1/instance/service-accounts/default/token")
            if seen.header("metadata-flavor") == Some("Google") =>
        {
            let number = till.next().0;
            let token = format!("ya29.round-{number}");
            let document =
                json!({ "access_token": token, "expires_in": till.life_s, "token_type": "Bearer" });
            ("application/json", document.to_string())
        }
        ("GET", "/metadata/identity/oauth2/token") if seen.header("metadata") == Some("true") => {
            let number = till.next().0;
            let document = json!({ "access_token": format!("entra-{number}"), "token_type": "Bearer",
                "expires_in": till.life_s.to_string(), "resource": "https://cognitiveservices.azure.com" });
            ("application/json", document.to_string())
        }
        ("POST", "/") => ("text/xml", sts(till)),
        _ => {
            exchange.answer(401, &[], b"")?;
            return Ok(After::KeepOpen);
        }
    };
    exchange.answer(200, &[("Content-Type", kind)], body.as_bytes())?;
    Ok(After::KeepOpen)
}

fn sts(till: &Till) -> String {
    let (number, round) = till.next();
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAROUND{number}</AccessKeyId>\
         <SecretAccessKey>secret-{number}</SecretAccessKey><SessionToken>token-{number}</SessionToken>\
         <Expiration>{}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>\
         </AssumeRoleWithWebIdentityResponse>",
        written(round.until)
    )
}

fn written(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}
