//! TLS: who proves what to whom.

use std::path::PathBuf;
use std::sync::Arc;

use cairn_server::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{Running, start, startup};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

async fn server(client_ca: bool, only: bool) -> Running {
    let ca = data("ca.pem");
    let ca = client_ca.then_some(ca.as_path());
    let tls = Tls::from_files(&data("server.pem"), &data("server.key"), ca, false).unwrap();
    start(|options| {
        options.tls = Some(tls);
        options.tls_only = only;
    })
    .await
}

fn connector(with_certificate: bool) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(data("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.unwrap().with_root_certificates(roots);
    let config = match with_certificate {
        false => builder.with_no_client_auth(),
        true => {
            let chain = vec![CertificateDer::from_pem_file(data("client.pem")).unwrap()];
            builder
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(data("client.key")).unwrap())
                .unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// What the server says first to a startup packet.
async fn first(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = stream.take(64).read_to_end(&mut all).await;
    all
}

fn has(answer: &[u8], text: &str) -> bool {
    answer.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Asks for TLS, and for a session through it.
async fn open(server: &Running, with_certificate: bool, name: &str) -> std::io::Result<Vec<u8>> {
    open_as(server, with_certificate, name, "cairn").await
}

/// The same as a user.
async fn open_as(
    server: &Running,
    with_certificate: bool,
    name: &str,
    user: &str,
) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server.address).await?;
    stream.write_all(&SSL_REQUEST).await?;
    assert_eq!(stream.read_u8().await?, b'S');
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = connector(with_certificate).connect(name, stream).await?;
    stream.write_all(&startup(&[("user", user)])).await?;
    // Half of the exchange is enough: the server waits for the rest, and is left.
    stream.shutdown().await?;
    Ok(first(&mut stream).await)
}

#[tokio::test]
async fn the_server_is_who_it_says_and_binds_the_password_to_it() {
    let server = server(false, false).await;
    let answer = open(&server, false, "localhost").await.unwrap();
    assert!(has(&answer, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0"));
    assert!(
        open(&server, false, "elsewhere.example").await.is_err(),
        "a name that the certificate does not have"
    );
}

#[tokio::test]
async fn clients_show_certificates_where_they_have_to() {
    let server = server(true, true).await;
    assert!(has(&open(&server, true, "localhost").await.unwrap(), "SCRAM"));
    // In TLS 1.3 the client is told after its handshake.
    let refused = open(&server, false, "localhost").await;
    assert!(refused.is_err() || !has(&refused.unwrap(), "SCRAM"));
}

#[tokio::test]
async fn who_does_not_ask_for_tls_is_refused_where_all_have_to() {
    let server = server(false, true).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&startup(&[("user", "cairn")])).await.unwrap();
    assert!(has(&first(&mut stream).await, "28000"));
    // The Unix socket is no network.
    server.client().await.query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn what_comes_before_the_handshake_is_not_taken_for_protected() {
    let server = server(false, false).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut bytes = SSL_REQUEST.to_vec();
    bytes.extend(startup(&[("user", "cairn")]));
    stream.write_all(&bytes).await.unwrap();
    assert_eq!(first(&mut stream).await, b"S");
}

#[test]
fn files_that_are_none_are_named() {
    let key = data("server.key");
    let error = Tls::from_files(&data("nothing.pem"), &key, None, false).unwrap_err();
    assert!(error.to_string().contains("nothing.pem"), "{error}");
    let error = Tls::from_files(&key, &key, None, false).unwrap_err();
    assert!(error.to_string().contains("no certificate"), "{error}");
    assert!(Tls::from_files(&data("client.pem"), &key, None, false).is_err(), "another's key");
}

/// `client.pem` is of `cairn`.
#[tokio::test]
async fn a_certificate_is_of_the_role_that_it_names() {
    let ca = data("ca.pem");
    let tls = Tls::from_files(&data("server.pem"), &data("server.key"), Some(&ca), true).unwrap();
    let rules = "hostssl all cairn,ann all cert\nhostssl all ben 127.0.0.0/8 scram-sha-256";
    let server = start(|options| {
        options.tls = Some(tls);
        options.rules = Some(cairn_server::Rules::parse(rules).unwrap());
    })
    .await;
    for sql in ["CREATE USER ann", "CREATE USER ben PASSWORD 'x'", "CREATE USER cis PASSWORD 'x'"] {
        server.database.execute(sql, &[]).unwrap();
    }
    let said =
        async |certified: bool, user: &str| open_as(&server, certified, "localhost", user).await.unwrap();
    // AuthenticationOk.
    assert_eq!(said(true, "cairn").await[..9], [b'R', 0, 0, 0, 8, 0, 0, 0, 0]);
    assert!(has(&said(true, "ann").await, "28000"), "another's certificate");
    assert!(has(&said(false, "cairn").await, "28000"), "no certificate");
    assert!(has(&said(false, "ben").await, "SCRAM"), "a rule that asks for none");
    assert!(has(&said(true, "cis").await, "28000"), "no rule");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&startup(&[("user", "cairn")])).await.unwrap();
    assert!(has(&first(&mut stream).await, "28000"), "without TLS");
}
