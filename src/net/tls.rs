//! TLS configurations of both sides, made once and shared.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Why a certificate, key or root store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The file holds no certificate in PEM form.
    #[error("no certificate in PEM form was found")]
    NoCertificate,
    /// The file holds no private key in PEM form.
    #[error("no private key in PEM form was found")]
    NoKey,
    /// The system has no root certificates and no CA file was given.
    #[error("the system has no root certificates; install ca-certificates or set `ca_file`")]
    NoRoots,
    /// A host that is neither a DNS name nor an address.
    #[error("`{0}` is not a host name")]
    HostName(String),
    /// What the library says of the material.
    #[error("{0}")]
    Material(#[from] rustls::Error),
}

/// How we call `https` servers: roots, ALPN `http/1.1`, resumption. One per CA file, shared by all cores.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// Trusts the system's roots and, beside them, the certificates of `extra_ca_pem`.
    ///
    /// # Errors
    /// `NoCertificate` when `extra_ca_pem` holds none, `NoRoots` when nothing at all would be trusted.
    pub fn new(extra_ca_pem: Option<&[u8]>) -> Result<Self, TlsFault> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(pem) = extra_ca_pem {
            for certificate in certificates(pem)? {
                roots.add(certificate)?;
            }
        }
        if roots.is_empty() {
            return Err(TlsFault::NoRoots);
        }
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Starts a client session for `host`.
    ///
    /// # Errors
    /// `HostName` when `host` cannot stand in a certificate.
    pub fn connect(&self, host: &str) -> Result<rustls::ClientConnection, TlsFault> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_why| TlsFault::HostName(host.to_owned()))?;
        Ok(rustls::ClientConnection::new(Arc::clone(&self.0), name)?)
    }
}

/// How we are called over TLS: certificate chain and key, ALPN `http/1.1`.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// Reads a chain (leaf first) and its key, both PEM.
    ///
    /// # Errors
    /// `NoCertificate`, `NoKey`, or `Material` when the two do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsFault> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_why| TlsFault::NoKey)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates(chain)?, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Starts a server session.
    ///
    /// # Errors
    /// `Material` when the configuration is unusable, which `from_pem` has ruled out.
    pub fn accept(&self) -> Result<rustls::ServerConnection, TlsFault> {
        Ok(rustls::ServerConnection::new(Arc::clone(&self.0))?)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(list) if !list.is_empty() => Ok(list),
        _ => Err(TlsFault::NoCertificate),
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
