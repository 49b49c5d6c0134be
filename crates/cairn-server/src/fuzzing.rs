//! Fuzz targets: what a client sends, from the first byte on.
//!
//! Built only for tests and by `cargo fuzz` (`--cfg fuzzing`). A panic is a finding, as is a client that is let in without the
//! password, and a session that does not end with its connection.

use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use cairndb::Database;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

use crate::access::Peer;
use crate::pg::{self, Verifier};
use crate::registry::Registry;
use crate::server::Shared;
use crate::{Options, SUPERUSER};

/// Bytes on their way between the two ends, at most.
const PIPE: usize = 64 << 10;
/// AuthenticationOk.
const LET_IN: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 0];

/// A server without listeners.
struct Standing {
    runtime: Runtime,
    shared: Arc<Shared>,
}

fn standing() -> &'static Standing {
    static STANDING: OnceLock<Standing> = OnceLock::new();
    STANDING.get_or_init(|| {
        let mut threads = Builder::new_multi_thread();
        let runtime =
            threads.worker_threads(1).thread_stack_size(64 << 20).enable_all().build().expect("threads");
        let database = Database::in_memory().expect("a database");
        database
            .execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c NUMERIC, d INTEGER[])", &[])
            .expect("a table");
        let options = Options {
            password: Verifier::of_password("only the owner knows"),
            failure_delay: std::time::Duration::ZERO,
            ..Options::default()
        };
        let registry = Registry::new(options.connections_max, options.http_connections_max);
        Standing { runtime, shared: Arc::new(Shared { database, options, registry }) }
    })
}

/// What the server answers to these bytes, after which the client is gone.
fn answer(bytes: &[u8], peer: Peer) -> Vec<u8> {
    let Standing { runtime, shared } = standing();
    runtime.block_on(async {
        let (client, server) = tokio::io::duplex(PIPE);
        let serving = pg::serve(Arc::clone(shared), server, peer);
        let (mut read, mut write) = tokio::io::split(client);
        let sending = async {
            // The server may have closed before it has read everything.
            let _ = write.write_all(bytes).await;
            let _ = write.shutdown().await;
        };
        let reading = async {
            let mut answer = Vec::new();
            let _ = read.read_to_end(&mut answer).await;
            answer
        };
        let ((), (), answer) = tokio::join!(serving, sending, reading);
        answer
    })
}

fn is_let_in(answer: &[u8]) -> bool {
    answer.windows(LET_IN.len()).any(|bytes| bytes == LET_IN)
}

/// Messages, which are the same whether they come at once or byte by byte.
pub fn message(data: &[u8]) {
    let at_once = pg::messages(&mut BytesMut::from(data));
    let mut buffer = BytesMut::new();
    let mut one_by_one = Vec::new();
    for byte in data {
        buffer.extend_from_slice(&[*byte]);
        one_by_one.extend(pg::messages(&mut buffer));
        // A violation ends the connection.
        if one_by_one.len() >= at_once.len() && one_by_one.last().is_some_and(Result::is_err) {
            break;
        }
    }
    assert_eq!(at_once, one_by_one);
}

/// The beginning of a connection over the network: nobody comes in without the password.
pub fn opening(data: &[u8]) {
    let peer = Peer::Network(std::net::Ipv4Addr::LOCALHOST.into(), 1);
    assert!(!is_let_in(&answer(data, peer)), "let in");
}

/// A session of the server's own user.
pub fn session(data: &[u8]) {
    let mut bytes = startup(&[("user", SUPERUSER)]);
    bytes.extend_from_slice(data);
    let peer = Peer::Local { user: Some(rustix::process::geteuid().as_raw()) };
    assert!(is_let_in(&answer(&bytes, peer)), "the session has not begun");
}

/// The packet with which a session begins.
fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 3, 0, 0];
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    let mut packet = ((body.len() + 4) as u32).to_be_bytes().to_vec();
    packet.append(&mut body);
    packet
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    type Target = fn(&[u8]);

    /// Mutants of each target that `cargo test` tries; `CAIRN_MUTANTS` sets another number.
    const MUTANTS: usize = 1_000;
    const TARGETS: [(&str, Target); 3] =
        [("server_message", message), ("server_opening", opening), ("server_session", session)];

    fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut all = vec![kind];
        all.extend_from_slice(&((body.len() + 4) as u32).to_be_bytes());
        all.extend_from_slice(body);
        all
    }

    /// Valid inputs of a target, to begin with.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        if target == "server_opening" {
            let mut scram =
                startup(&[("user", "cairn"), ("database", "cairn"), ("options", "-c search_path=a")]);
            let first = b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=rOprNGfwEbeRWgbNEkqO0123";
            scram.extend(framed(b'p', first));
            scram.extend(framed(
                b'p',
                b"c=biws,r=rOprNGfwEbeRWgbNEkqO0123,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            ));
            let packet = |code: u32, rest: &[u8]| {
                let mut all = ((rest.len() + 8) as u32).to_be_bytes().to_vec();
                all.extend_from_slice(&code.to_be_bytes());
                all.extend_from_slice(rest);
                all
            };
            let tls = [packet(80_877_103, &[]), scram.clone()].concat();
            let gss = [packet(80_877_104, &[]), scram.clone()].concat();
            return vec![
                scram,
                tls,
                gss,
                packet(80_877_102, &[0, 0, 0, 1, 1, 2, 3, 4]),
                packet(196_610, b"user\0x\0_pq_.a\0b\0\0"),
            ];
        }
        let query = |sql: &str| framed(b'Q', format!("{sql}\0").as_bytes());
        let parse = |name: &str, sql: &str, types: &[u32]| {
            let mut body = format!("{name}\0{sql}\0").into_bytes();
            body.extend_from_slice(&(types.len() as u16).to_be_bytes());
            types.iter().for_each(|ty| body.extend_from_slice(&ty.to_be_bytes()));
            framed(b'P', &body)
        };
        let bind = |name: &str, format: u16, values: &[&[u8]]| {
            let mut body = format!("\0{name}\0\0\x01").into_bytes();
            body.extend_from_slice(&format.to_be_bytes());
            body.extend_from_slice(&(values.len() as u16).to_be_bytes());
            for value in values {
                body.extend_from_slice(&(value.len() as u32).to_be_bytes());
                body.extend_from_slice(value);
            }
            body.extend_from_slice(&[0, 1, 0, 1]);
            framed(b'B', &body)
        };
        let (sync, execute) = (framed(b'S', &[]), framed(b'E', &[0, 0, 0, 0, 5]));
        let describe = framed(b'D', b"S\0");
        let list = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7];
        let numeric = [0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 19, 136];
        vec![
            [
                query("SELECT a, b FROM t; SELECT 1"),
                query("BEGIN; SELECT 1/0"),
                query("ROLLBACK"),
                framed(b'X', &[]),
            ]
            .concat(),
            [
                parse("", "SELECT $1::int4 + 1, $2::text, $3::numeric, $4::int4[]", &[23, 25, 1700, 1007]),
                describe.clone(),
                bind("", 1, &[&[0, 0, 0, 5], b"text", &numeric, &list]),
                execute.clone(),
                sync.clone(),
            ]
            .concat(),
            [
                parse("s", "INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING *", &[]),
                bind("s", 0, &[b"7", b"seven"]),
                framed(b'D', b"P\0"),
                execute.clone(),
                framed(b'C', b"Ss\0"),
                framed(b'H', &[]),
                sync.clone(),
                query("DEALLOCATE ALL"),
            ]
            .concat(),
            [
                query("COPY t (a, b) FROM STDIN"),
                framed(b'd', b"1\tone\n2\t"),
                framed(b'd', b"two\n"),
                framed(b'c', &[]),
                query("COPY t TO STDOUT (FORMAT binary)"),
                query("COPY t (a) FROM STDIN (FORMAT binary)"),
                framed(b'd', b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x04\0\0\0\x09\xff\xff"),
                framed(b'c', &[]),
                query("COPY t FROM STDIN (FORMAT csv)"),
                framed(b'f', b"no more\0"),
                query("TRUNCATE t"),
            ]
            .concat(),
            [
                framed(b'F', &[0; 12]),
                query("LISTEN a; NOTIFY a, 'b'"),
                query("SET application_name = 'x'"),
                sync,
            ]
            .concat(),
        ]
    }

    #[test]
    fn what_a_client_sends_is_survived() {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let count = number("CAIRN_MUTANTS").map_or(MUTANTS, |count| count as usize);
        let seed = number("CAIRN_SEED").unwrap_or(1);
        for (name, target) in TARGETS {
            eprintln!("{name}: {count} mutants of seed {seed}");
            cairn_testkit::mutate::run(seed, count, &seeds(name), target);
        }
    }

    /// Writes the seeds for `cargo xtask fuzz`.
    #[test]
    #[ignore = "run by `cargo xtask fuzz`"]
    fn write_corpus() {
        let Some(corpus) = std::env::var_os("CAIRN_CORPUS") else { return };
        for (name, _) in TARGETS {
            let dir = Path::new(&corpus).join(name);
            cairn_testkit::mutate::write_corpus(&dir, &seeds(name)).expect("the corpus can be written");
        }
    }
}
