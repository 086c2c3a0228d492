//! What secrets look like: the prefixes that issuers give them, and the names that people do.

use std::sync::LazyLock;

/// The bytes that a secret goes on with behind its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letters {
    /// Letters and digits.
    Alnum,
    /// Those and `_`.
    Name,
    /// Those, `_` and `-`.
    Url,
    /// Those, `_`, `-`, `.`, `=`.
    Dotted,
    /// Upper case and the digits 2 to 7.
    Base32,
    /// Lower-case hexadecimal digits.
    Hex,
}

impl Letters {
    pub(crate) fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Name => is_name(byte),
            Self::Url => is_name(byte) || byte == b'-',
            Self::Dotted => is_name(byte) || matches!(byte, b'-' | b'.' | b'='),
            Self::Base32 => byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7'),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        }
    }
}

/// Whether the byte is of those that names in programs are made of.
pub(crate) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A secret that can be told by its prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefixed {
    pub(crate) prefix: &'static [u8],
    pub(crate) letters: Letters,
    /// Bytes behind the prefix, at least and at most.
    pub(crate) bytes: (usize, usize),
    pub(crate) rule: &'static str,
}

const fn rule(
    prefix: &'static [u8],
    letters: Letters,
    least: usize,
    most: usize,
    rule: &'static str,
) -> Prefixed {
    Prefixed { prefix, letters, bytes: (least, most), rule }
}

/// Bytes of a secret whose length its issuer leaves open.
const OPEN: usize = 4096;

/// By their prefixes; of two that fit the first one counts. The formats are those that the issuers publish
/// for scanners; where an issuer leaves the length open, the least is what keeps names in programs out.
pub(crate) const PREFIXED: &[Prefixed] = &[
    rule(b"tg_", Letters::Url, 40, 64, "tollgate"),
    rule(b"sk-ant-", Letters::Url, 20, OPEN, "anthropic"),
    rule(b"sk-proj-", Letters::Url, 20, OPEN, "openai"),
    rule(b"sk-svcacct-", Letters::Url, 20, OPEN, "openai"),
    rule(b"sk-admin-", Letters::Url, 20, OPEN, "openai"),
    rule(b"sk-or-v1-", Letters::Hex, 32, 64, "openrouter"),
    rule(b"sk-lf-", Letters::Url, 32, 64, "langfuse"),
    rule(b"sk-", Letters::Alnum, 32, 128, "openai"),
    rule(b"ghp_", Letters::Alnum, 36, 255, "github"),
    rule(b"gho_", Letters::Alnum, 36, 255, "github"),
    rule(b"ghu_", Letters::Alnum, 36, 255, "github"),
    rule(b"ghs_", Letters::Dotted, 36, 1024, "github"),
    rule(b"ghr_", Letters::Alnum, 36, 255, "github"),
    rule(b"github_pat_", Letters::Name, 40, 255, "github"),
    rule(b"glpat-", Letters::Dotted, 20, 400, "gitlab"),
    rule(b"gldt-", Letters::Url, 20, 64, "gitlab"),
    rule(b"glrt-", Letters::Dotted, 20, 400, "gitlab"),
    rule(b"glptt-", Letters::Hex, 40, 64, "gitlab"),
    rule(b"glft-", Letters::Url, 20, 64, "gitlab"),
    rule(b"glcbt-", Letters::Url, 20, 64, "gitlab"),
    rule(b"glsoat-", Letters::Url, 20, 64, "gitlab"),
    rule(b"glagent-", Letters::Url, 40, 64, "gitlab"),
    rule(b"gloas-", Letters::Hex, 40, 64, "gitlab"),
    rule(b"xoxb-", Letters::Url, 10, 255, "slack"),
    rule(b"xoxp-", Letters::Url, 10, 255, "slack"),
    rule(b"xoxa-", Letters::Url, 10, 255, "slack"),
    rule(b"xoxr-", Letters::Url, 10, 255, "slack"),
    rule(b"xoxs-", Letters::Url, 10, 255, "slack"),
    rule(b"xoxe-", Letters::Url, 10, 255, "slack"),
    rule(b"xoxc-", Letters::Url, 10, 255, "slack"),
    rule(b"xoxd-", Letters::Url, 10, 255, "slack"),
    rule(b"xapp-", Letters::Url, 10, 255, "slack"),
    rule(b"AKIA", Letters::Base32, 16, 16, "aws"),
    rule(b"ASIA", Letters::Base32, 16, 16, "aws"),
    rule(b"ABIA", Letters::Base32, 16, 16, "aws"),
    rule(b"ACCA", Letters::Base32, 16, 16, "aws"),
    rule(b"ABSK", Letters::Alnum, 100, 270, "aws"),
    rule(b"AIza", Letters::Url, 35, 35, "gcp"),
    rule(b"ya29.", Letters::Url, 20, OPEN, "gcp"),
    rule(b"GOCSPX-", Letters::Url, 28, 28, "gcp"),
    rule(b"sk_live_", Letters::Alnum, 10, 255, "stripe"),
    rule(b"sk_test_", Letters::Alnum, 10, 255, "stripe"),
    rule(b"rk_live_", Letters::Alnum, 10, 255, "stripe"),
    rule(b"rk_test_", Letters::Alnum, 10, 255, "stripe"),
    rule(b"whsec_", Letters::Alnum, 24, 255, "stripe"),
    rule(b"npm_", Letters::Alnum, 36, 36, "npm"),
    rule(b"pypi-AgE", Letters::Url, 50, OPEN, "pypi"),
    rule(b"hf_", Letters::Alnum, 34, 40, "huggingface"),
    rule(b"gsk_", Letters::Alnum, 40, 64, "groq"),
    rule(b"xai-", Letters::Alnum, 70, 90, "xai"),
    rule(b"pplx-", Letters::Alnum, 40, 64, "perplexity"),
    rule(b"r8_", Letters::Alnum, 37, 37, "replicate"),
    rule(b"tvly-", Letters::Url, 20, 80, "tavily"),
    rule(b"pcsk_", Letters::Name, 50, 90, "pinecone"),
    rule(b"lsv2_", Letters::Name, 40, 60, "langsmith"),
    rule(b"SG.", Letters::Dotted, 60, 72, "sendgrid"),
    rule(b"dop_v1_", Letters::Hex, 64, 64, "digitalocean"),
    rule(b"doo_v1_", Letters::Hex, 64, 64, "digitalocean"),
    rule(b"dapi", Letters::Hex, 32, 32, "databricks"),
    rule(b"dp.pt.", Letters::Alnum, 40, 44, "doppler"),
    rule(b"dp.st.", Letters::Dotted, 40, 80, "doppler"),
    rule(b"dckr_pat_", Letters::Url, 27, 40, "docker"),
    rule(b"hvs.", Letters::Url, 24, 200, "vault"),
    rule(b"hvb.", Letters::Url, 100, 400, "vault"),
    rule(b"ATATT3", Letters::Dotted, 100, 255, "atlassian"),
    rule(b"lin_api_", Letters::Alnum, 40, 40, "linear"),
    rule(b"ntn_", Letters::Alnum, 40, 50, "notion"),
    rule(b"figd_", Letters::Url, 38, 50, "figma"),
    rule(b"PMAK-", Letters::Url, 50, 70, "postman"),
    rule(b"shpat_", Letters::Alnum, 32, 32, "shopify"),
    rule(b"shpca_", Letters::Alnum, 32, 32, "shopify"),
    rule(b"shppa_", Letters::Alnum, 32, 32, "shopify"),
    rule(b"shpss_", Letters::Alnum, 32, 32, "shopify"),
    rule(b"sq0atp-", Letters::Url, 22, 22, "square"),
    rule(b"sbp_", Letters::Hex, 40, 40, "supabase"),
    rule(b"glsa_", Letters::Name, 40, 50, "grafana"),
    rule(b"glc_", Letters::Dotted, 32, 400, "grafana"),
    rule(b"NRAK-", Letters::Alnum, 27, 27, "newrelic"),
    rule(b"pscale_", Letters::Dotted, 32, 70, "planetscale"),
    rule(b"rubygems_", Letters::Hex, 48, 48, "rubygems"),
    rule(b"pul-", Letters::Hex, 40, 40, "pulumi"),
    rule(b"sntrys_", Letters::Dotted, 60, 300, "sentry"),
    rule(b"sntryu_", Letters::Hex, 64, 64, "sentry"),
    rule(b"AGE-SECRET-KEY-1", Letters::Alnum, 58, 58, "age"),
];

/// The rules whose prefixes begin with a byte, as bits in the order of `PREFIXED`. Most words begin no
/// secret: to compare each with every prefix was a fifth of all that a core did for a small call.
static FIRST: LazyLock<[u128; 128]> = LazyLock::new(|| {
    let mut table = [0; 128];
    for (place, one) in PREFIXED.iter().enumerate() {
        let first = one.prefix.first().and_then(|&byte| table.get_mut(usize::from(byte)));
        if let Some(rules) = first {
            *rules |= 1 << place;
        }
    }
    table
});

// Each rule has its bit, and the prefixes are of ASCII.
const _: () = assert!(PREFIXED.len() <= 128);

/// The first rule whose prefix the bytes begin with.
pub(crate) fn beginning(bytes: &[u8]) -> Option<&'static Prefixed> {
    // A look at the second byte is cheaper than a comparison.
    let (first, second) = (*bytes.first()?, bytes.get(1));
    let mut left = FIRST.get(usize::from(first)).copied().unwrap_or(0);
    while left != 0 {
        let one = PREFIXED.get(usize::try_from(left.trailing_zeros()).ok()?)?;
        if one.prefix.get(1) == second && bytes.starts_with(one.prefix) {
            return Some(one);
        }
        left &= left - 1;
    }
    None
}

/// How the names end under which people keep secrets, in lower case and without `_` and `-`.
pub(crate) const NAMES: &[&[u8]] = &[
    b"password",
    b"passwd",
    b"pwd",
    b"passphrase",
    b"secret",
    b"token",
    b"apikey",
    b"accesskey",
    b"secretkey",
    b"privatekey",
    b"authkey",
    b"encryptionkey",
    b"signingkey",
    b"masterkey",
    b"accountkey",
    b"sharedkey",
    b"sharedaccesskey",
    b"credential",
    b"credentials",
    b"accesskeyid",
];

/// Names that end so, and are for others to see: places in lists, and ids.
pub(crate) const PUBLIC_NAMES: &[&[u8]] =
    &[b"pagetoken", b"continuationtoken", b"nexttoken", b"synctoken", b"canceltoken", b"progresstoken"];
