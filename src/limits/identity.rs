//! Bounds of who may call: keys, tokens of issuers, and what strangers may make us write down.

use std::time::Duration;

/// Bytes of a JSON Web Token that is looked at. Those of large directories, with two hundred groups, have
/// about 9 KiB, and a client may send one in two headers of a head of `HEAD_BYTES_MAX`.
pub const JWT_BYTES_MAX: usize = 14 * 1024;

/// Bytes of a subject, a user, a session or a key's id in a token: they stand in records and logs.
pub const JWT_NAME_BYTES_MAX: usize = 256;

/// Groups of one token; a directory sends at most two hundred before it sends a link instead.
pub const JWT_GROUPS_MAX: usize = 1024;

/// Bytes of the name of a group.
pub const JWT_GROUP_BYTES_MAX: usize = 512;

/// Bytes of the last part of a token: the signature of the longest RSA key is a half of it.
pub const JWT_SIGNATURE_BYTES_MAX: usize = 2 * 1024;

/// Seconds that the clocks of an issuer and of this machine may differ, unless `clock_skew_s` says otherwise.
pub const CLOCK_SKEW_S_DEFAULT: u64 = 60;

/// Seconds that `clock_skew_s` may allow: for as long a token that has ended is still good.
pub const CLOCK_SKEW_S_MAX: u64 = 600;

/// Tokens that a core remembers to have verified; about 600 bytes each. Beyond it the remembered are
/// forgotten, and verified again when they come.
pub const SIGN_INS_MAX: usize = 16 * 1024;

/// Issuers of one config.
pub const ISSUERS_MAX: usize = 32;

/// Bytes of an issuer's address in the names of those who have signed in there: they stand in records and
/// logs. Of a longer one they have a hash.
pub const ISSUER_TAG_BYTES_MAX: usize = 128;

/// Rows of `teams:` and `roles:` of one issuer: each is compared with each group of a token.
pub const ISSUER_ROWS_MAX: usize = 1024;

/// Users, subjects and sessions that `revoked:` names, in the config and in the key file each.
pub const REVOKED_MAX: usize = 64 * 1024;

/// Bytes of a set of keys or of a discovery document. Large issuers have 20 KiB.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;

/// Keys of one set that are kept; issuers have two to ten.
pub const JWKS_KEYS_MAX: usize = 64;

/// Bits of the shortest RSA key that is taken (NIST SP 800-131A).
pub const RSA_BITS_MIN: usize = 2048;

/// Bits of the longest: verifying takes time that grows with it.
pub const RSA_BITS_MAX: usize = 8192;

/// How long a set of keys is used before it is fetched again, where its issuer does not say.
pub const JWKS_AGE_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// The least that an issuer can say: more often it is not asked.
pub const JWKS_AGE_MIN: Duration = Duration::from_secs(60);

/// The most that an issuer can say: a key that it has taken back is gone by then.
pub const JWKS_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the last good set is used while its issuer cannot be asked.
pub const JWKS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an issuer may take to answer.
pub const JWKS_DEADLINE: Duration = Duration::from_secs(10);

/// How long until an issuer that did not answer is asked again, at first; each time twice as long.
pub const JWKS_RETRY_FIRST: Duration = Duration::from_secs(1);

/// How long at most.
pub const JWKS_RETRY_MAX: Duration = Duration::from_secs(60);

/// How often tokens with keys that we do not have may make us ask an issuer, milliseconds: whoever makes up
/// tokens would have us ask for each.
pub const JWKS_UNKNOWN_EVERY_MS: u64 = 60_000;

/// How long a call waits for keys that are being fetched.
pub const JWKS_WAIT: Duration = Duration::from_secs(5);

/// Refusals of callers without a valid key that one core writes down in a second; the others of the second
/// become one entry. A record has about 300 bytes: a stranger fills 1.3 GB a day and core, and not the disk.
pub const STRANGERS_PER_S: u64 = 50;

/// Days that a key may be valid: ten years. Who needs more needs a key without an end.
pub const KEY_DAYS_MAX: u64 = 3_660;

/// How long an old secret goes on beside the new one, unless `--overlap` says otherwise.
pub const KEY_OVERLAP_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it may: a secret that nobody turns off is one too many.
pub const KEY_OVERLAP_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
