//! A server of the test's own, and a client that sends what it is told to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

use cairn_server::{Options, Server, Verifier};
use cairndb::Database;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server that runs until [`Running::stop`].
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// That of HTTP, where it is asked for.
    pub(crate) http: SocketAddr,
    pub(crate) database: Database,
    pub(crate) sockets: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Making it takes thousands of rounds: once is enough.
fn verifier() -> Verifier {
    static VERIFIER: OnceLock<Verifier> = OnceLock::new();
    VERIFIER.get_or_init(|| Verifier::of_password("open sesame").unwrap()).clone()
}

pub(crate) async fn start(change: impl FnOnce(&mut Options)) -> Running {
    start_on(Database::in_memory().unwrap(), change).await
}

pub(crate) async fn start_on(database: Database, change: impl FnOnce(&mut Options)) -> Running {
    let sockets = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.tcp.push("127.0.0.1:0".parse().unwrap());
    options.socket_directory = Some(sockets.path().to_owned());
    options.password = Some(verifier());
    options.failure_delay = std::time::Duration::ZERO;
    change(&mut options);
    let server = Server::bind(database.clone(), options).await.unwrap();
    let address = server.addresses()[0];
    let http = server.http_addresses().first().copied().unwrap_or(address);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    Running { address, http, database, sockets, stop, task }
}

impl Running {
    pub(crate) fn socket(&self) -> PathBuf {
        self.sockets.path().join(".s.PGSQL.5432")
    }

    /// A session.
    pub(crate) async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }

    /// The same; the SQLSTATE where there is to be none.
    pub(crate) async fn try_client(&self) -> Result<Client, String> {
        let stream = UnixStream::connect(self.socket()).await.map_err(|error| error.to_string())?;
        let mut client = Client { stream };
        client.send(&startup(&[("user", "cairn")])).await;
        client.until_ready().await?;
        Ok(client)
    }

    /// A connection on which nothing has been said.
    pub(crate) async fn opened(&self) -> Client {
        Client { stream: UnixStream::connect(self.socket()).await.unwrap() }
    }

    /// A session of a role with its password; the SQLSTATE where there is to be none.
    pub(crate) async fn client_as(&self, user: &str, password: &str) -> Result<Client, String> {
        let stream = UnixStream::connect(self.socket()).await.map_err(|error| error.to_string())?;
        let mut client = Client { stream };
        client.send(&startup(&[("user", user)])).await;
        // The server's own system user is `cairn` without a password.
        client.log_in(password).await?;
        client.until_ready().await?;
        Ok(client)
    }

    /// Sessions that run a statement.
    pub(crate) async fn activity(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()";
        let mut rows = self.database.query_async(sql, &[]).await.unwrap();
        rows.next_async().await.unwrap().unwrap().get(0).unwrap()
    }

    /// Ends the server as SIGTERM does.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }
}

pub(crate) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    let mut packet = ((body.len() + 4) as u32).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut all = vec![kind];
    all.extend_from_slice(&((body.len() + 4) as u32).to_be_bytes());
    all.extend_from_slice(body);
    all
}

/// A session, message by message.
pub(crate) struct Client {
    stream: UnixStream,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // The server may be gone: what it says is what counts.
        let _ = self.stream.write_all(bytes).await;
    }

    /// SCRAM-SHA-256, the client's side.
    pub(crate) async fn log_in(&mut self, password: &str) -> Result<(), String> {
        let told = |message: Option<(u8, Vec<u8>)>| match message {
            Some((b'R', body)) => Ok(body),
            Some((b'E', body)) => Err(sqlstate(&body)),
            _ => Err("gone".to_owned()),
        };
        let asked = told(self.next().await)?;
        if asked[..4] == [0; 4] {
            // Without a password.
            return Err("not asked".to_owned());
        }
        let first = "n=,r=rOprNGfwEbeRWgbNEkqO";
        let data = format!("n,,{first}");
        let mut body = b"SCRAM-SHA-256\0".to_vec();
        body.extend((data.len() as u32).to_be_bytes());
        body.extend(data.as_bytes());
        self.send(&message(b'p', &body)).await;
        let answer = told(self.next().await)?;
        let answer = String::from_utf8(answer[4..].to_vec()).unwrap();
        self.send(&message(b'p', &proof(password, first, &answer))).await;
        told(self.next().await).map(drop)
    }

    /// Runs a statement by Parse, Bind, Execute and Sync; how many rows it gave, or the SQLSTATE.
    pub(crate) async fn extended(&mut self, sql: &str) -> Result<usize, String> {
        let mut all = message(b'P', format!("\0{sql}\0\0\0").as_bytes());
        all.extend(message(b'B', &[0, 0, 0, 0, 0, 0, 0, 0]));
        all.extend(message(b'E', &[0, 0, 0, 0, 0]));
        all.extend(message(b'S', &[]));
        self.send(&all).await;
        let messages = self.until_ready().await?;
        Ok(messages.iter().filter(|(kind, _)| *kind == b'D').count())
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = self.stream.read_u8().await.ok()?;
        let length = self.stream.read_u32().await.ok()?;
        let mut body = vec![0; length as usize - 4];
        self.stream.read_exact(&mut body).await.ok()?;
        Some((kind, body))
    }

    /// The messages up to the next ReadyForQuery; the SQLSTATE of the last error, `gone` at the end of the connection.
    pub(crate) async fn until_ready(&mut self) -> Result<Vec<(u8, Vec<u8>)>, String> {
        let (mut all, mut failed) = (Vec::new(), None);
        loop {
            match self.next().await {
                None => return Err(failed.unwrap_or_else(|| "gone".to_owned())),
                Some((b'E', body)) => failed = Some(sqlstate(&body)),
                Some((b'Z', _)) => return failed.map_or(Ok(all), Err),
                Some(message) => all.push(message),
            }
        }
    }

    /// Runs statements; the values of their rows as text, or the SQLSTATE.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        self.send(&message(b'Q', format!("{sql}\0").as_bytes())).await;
        let messages = self.until_ready().await?;
        Ok(messages.iter().filter(|(kind, _)| *kind == b'D').map(|(_, body)| values(body)).collect())
    }
}

/// The client's last message.
fn proof(password: &str, first: &str, answer: &str) -> Vec<u8> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use ring::{digest, hmac, pbkdf2};
    let field = |name: &str| answer.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
    let (nonce, salt, rounds) =
        (field("r="), BASE64.decode(field("s=")).unwrap(), field("i=").parse().unwrap());
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut salted);
    let mac =
        |key: &[u8], data: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec();
    let key = mac(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, &key);
    let without = format!("c=biws,r={nonce}");
    let signature = mac(stored.as_ref(), format!("{first},{answer},{without}").as_bytes());
    let proof: Vec<u8> = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    format!("{without},p={}", BASE64.encode(proof)).into_bytes()
}

/// The values of a DataRow.
fn values(body: &[u8]) -> Vec<Option<String>> {
    let count = u16::from_be_bytes([body[0], body[1]]);
    let mut rest = &body[2..];
    let mut values = Vec::new();
    for _ in 0..count {
        let (length, after) = rest.split_at(4);
        let length = i32::from_be_bytes(length.try_into().unwrap());
        rest = after;
        values.push(usize::try_from(length).ok().map(|length| {
            let (value, after) = rest.split_at(length);
            rest = after;
            String::from_utf8(value.to_vec()).unwrap()
        }));
    }
    values
}

fn sqlstate(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0);
    let code = fields.filter_map(|field| field.strip_prefix(b"C")).next();
    String::from_utf8(code.unwrap().to_vec()).unwrap()
}
