//! TLS: what the server proves itself with, and what binds a password exchange to the connection.

use std::path::Path;
use std::sync::Arc;

use ring::digest;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;
use x509_cert::der::{Decode, Encode};

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read or holds no PEM of its kind.
    #[error("{0}: {1}")]
    File(String, String),
    /// Certificates and key that do not go together.
    #[error("the certificate and the key cannot be used: {0}")]
    Pair(rustls::Error),
    /// Authorities that are none.
    #[error("the authorities of clients cannot be used: {0}")]
    Authorities(String),
}

/// The server's certificate and key, and whom it takes for a client.
#[derive(Clone)]
pub struct Tls {
    config: Arc<rustls::ServerConfig>,
    /// The same for HTTP.
    http: Arc<rustls::ServerConfig>,
    end_point: Option<Vec<u8>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |what: String| TlsError::File(path.display().to_string(), what);
    let all = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(error.to_string()))?;
    if all.is_empty() { Err(wrong("there is no certificate in it".to_owned())) } else { Ok(all) }
}

impl Tls {
    /// Reads PEM files: the server's certificate with those between it and its authority, its key, and the authorities whose
    /// certificates clients show, where any are asked for. With `optional` a client may have none. TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn from_files(
        certificate: &Path,
        key: &Path,
        client_ca: Option<&Path>,
        optional: bool,
    ) -> Result<Tls, TlsError> {
        let chain = certificates(certificate)?;
        let end_point = chain.first().and_then(|own| end_point(own));
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| TlsError::File(key.display().to_string(), error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority).map_err(|error| TlsError::Authorities(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
                builder.with_client_cert_verifier(
                    verifier.build().map_err(|error| TlsError::Authorities(error.to_string()))?,
                )
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
        let mut http = config.clone();
        http.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Tls { config: Arc::new(config), http: Arc::new(http), end_point })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    pub(crate) fn http_acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.http))
    }

    /// What `tls-server-end-point` binds to: the hash of the certificate, where its signature says which (RFC 5929).
    pub(crate) fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }
}

/// The common name of whom a certificate is for; `None` where it has none, or more than one.
pub(crate) fn common_name(certificate: &[u8]) -> Option<String> {
    const COMMON_NAME: &str = "2.5.4.3";
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let subject = &parsed.tbs_certificate.subject;
    let mut names = subject.0.iter().flat_map(|relative| relative.0.iter());
    let mut names = names.by_ref().filter(|own| own.oid.to_string() == COMMON_NAME);
    let (name, None) = (names.next()?, names.next()) else { return None };
    // UTF8String, PrintableString and IA5String are all text of the same bytes.
    let text = String::from_utf8(name.value.value().to_vec()).ok()?;
    Some(text).filter(|text| !text.contains('\0'))
}

fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let algorithm = match parsed.signature_algorithm.oid.to_string().as_str() {
        // RSA and ECDSA with MD5, SHA-1 and SHA-256.
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" => &digest::SHA256,
        "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    // The certificate alone, whatever stands behind it.
    let whole = parsed.to_der().ok()?;
    Some(digest::digest(algorithm, &whole).as_ref().to_vec())
}
