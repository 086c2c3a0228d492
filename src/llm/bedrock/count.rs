//! How Bedrock counts the tokens of a request.

use crate::base64;
use crate::json::{Fault, Field, fields};
use crate::llm::bedrock::escaped;

/// Prefixes of profiles that spread a model over regions.
const SPREADS: &[&str] = &["global", "us", "us-gov", "eu", "apac", "jp", "au", "ca", "sa", "me", "af", "il"];

/// The path by which tokens are counted. It takes ids of models alone: that of a profile which spreads a
/// model is told by the model's; nothing for ARNs that do not say which model is behind them.
pub fn count_path(model: &str) -> Option<String> {
    let id = match model.strip_prefix("arn:") {
        None => model,
        Some(arn) => {
            let (_, resource) =
                arn.rsplit_once(':').filter(|(_, last)| last.contains('/')).or_else(|| {
                    // The version of a model's id has a colon of its own.
                    let at = arn.rfind(":foundation-model/").or_else(|| arn.rfind(":inference-profile/"))?;
                    arn.split_at_checked(at + 1)
                })?;
            resource
                .strip_prefix("foundation-model/")
                .or_else(|| resource.strip_prefix("inference-profile/"))?
        }
    };
    let id = match id.split_once('.') {
        Some((prefix, rest)) if SPREADS.contains(&prefix) && rest.contains('.') => rest,
        _ => id,
    };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/' | b':');
    let fits = (1..=256).contains(&id.len()) && id.bytes().all(letter);
    fits.then(|| format!("/model/{}/count-tokens", escaped(id)))
}

/// The body for that path: `{"input":{"invokeModel":{"body":"<base64>"}}}`, of a body for InvokeModel.
pub fn write_count(invoke: &[u8]) -> Vec<u8> {
    let digits = base64::encode_padded(invoke);
    [b"{\"input\":{\"invokeModel\":{\"body\":\"", digits.as_bytes(), b"\"}}}"].concat()
}

/// Reads `{"inputTokens": 7}`; nothing when it is no such answer, or says that there are none.
pub fn read_count(answer: &[u8]) -> Option<u64> {
    let mut tokens = None;
    let read: Result<(), Fault> = fields(answer, |Field { key, value }| {
        if key.raw == b"inputTokens" {
            tokens = value.as_u64(answer);
        }
        Ok(())
    });
    read.ok().and(tokens).filter(|tokens| *tokens > 0)
}
