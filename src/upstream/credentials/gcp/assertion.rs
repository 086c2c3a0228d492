//! The token by which a service account vouches for itself (RFC 7523), signed with its key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

use crate::base64::{self, URL_SAFE};
use crate::json::write_string;
use crate::limits;
use crate::secret::Secret;
use crate::upstream::credentials::Fault;
use crate::upstream::credentials::gcp::ServiceAccount;

/// A token for `scope` from `now_s` on, good for `limits::ASSERTION_S`.
pub(super) fn sign(account: &ServiceAccount, scope: &str, now_s: u64) -> Result<Secret, Fault> {
    let der = Secret::new(pem(account.key.expose()).ok_or(Fault::Key)?);
    let der = base64::decode_padded(der.expose().as_bytes()).ok_or(Fault::Key)?;
    let key = RsaKeyPair::from_pkcs8(&der).or(Err(Fault::Key))?;
    let mut head = b"{\"alg\":\"RS256\",\"typ\":\"JWT\"".to_vec();
    if let Some(id) = &account.key_id {
        head.extend_from_slice(b",\"kid\":");
        write_string(&mut head, id);
    }
    head.push(b'}');
    let mut claims = b"{\"iss\":".to_vec();
    write_string(&mut claims, &account.email);
    claims.extend_from_slice(b",\"scope\":");
    write_string(&mut claims, scope);
    claims.extend_from_slice(b",\"aud\":");
    write_string(&mut claims, &account.token_url);
    let end_s = now_s.saturating_add(limits::ASSERTION_S);
    claims.extend_from_slice(format!(",\"iat\":{now_s},\"exp\":{end_s}}}").as_bytes());
    let mut token = format!("{}.{}", base64::encode(&head, URL_SAFE), base64::encode(&claims, URL_SAFE));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
        .or(Err(Fault::Key))?;
    token.push('.');
    token.push_str(&base64::encode(&signature, URL_SAFE));
    Ok(Secret::new(token))
}

/// The digits between the lines of a PEM file with a key as PKCS#8.
fn pem(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (inner, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    Some(inner.split_ascii_whitespace().collect())
}
