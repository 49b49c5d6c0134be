//! What no driver sends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Running, message, start, startup};

/// What the server answers to bytes, until it closes the connection.
async fn answer(server: &Running, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // It may have closed the connection before it has read all.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    all
}

fn has(answer: &[u8], text: &str) -> bool {
    answer.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn garbage_at_the_beginning_is_refused() {
    let server = start(|_| {}).await;
    assert!(has(&answer(&server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await, "08P01"));
    assert!(has(&answer(&server, &[0, 0, 0, 4, 0, 0, 0, 0]).await, "08P01"));
    assert!(has(&answer(&server, &[255; 100]).await, "08P01"));
    assert!(has(&answer(&server, &[0, 0, 0, 8, 0, 2, 0, 0]).await, "0A000"));
    assert!(has(&answer(&server, &startup(&[("database", "x")])).await, "28000"));
    assert_eq!(answer(&server, &[0, 0, 0, 8, 4, 210, 22, 47]).await, b"N", "no TLS here");
    assert_eq!(answer(&server, b"\0\0\0\x10").await, b"");
    // A query instead of the password; a step of SCRAM that is none.
    let mut bytes = startup(&[("user", "cairn")]);
    bytes.extend_from_slice(b"Q\0\0\0\x0dSELECT 1\0");
    assert!(has(&answer(&server, &bytes).await, "08P01"));
    let mut bytes = startup(&[("user", "cairn")]);
    bytes.extend_from_slice(b"p\0\0\0\x08abc\0");
    assert!(has(&answer(&server, &bytes).await, "08P01"));
    let mut bytes = startup(&[("user", "cairn")]);
    bytes.extend_from_slice(b"p\x7f\xff\xff\xffabc\0");
    assert!(has(&answer(&server, &bytes).await, "08P01"));
    // Nobody else was disturbed.
    assert_eq!(server.client().await.query("SELECT 1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn random_bytes_disturb_nobody() {
    let server = start(|_| {}).await;
    let mut client = server.client().await;
    let mut seed = 3u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for _ in 0..200 {
        let mut bytes = match random() % 3 {
            0 => Vec::new(),
            1 => startup(&[("user", "cairn")]),
            _ => startup(&[("user", "cairn"), ("client_encoding", "\u{fffd}")]),
        };
        bytes.extend((0..random() % 200).map(|_| random() as u8));
        answer(&server, &bytes).await;
    }
    assert_eq!(client.query("SELECT 1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_does_not_come_to_the_point_is_cut_off() {
    let server = start(|options| options.opening_time_max = Duration::from_millis(20)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&[0, 0]).await.unwrap();
    let mut all = Vec::new();
    assert_eq!(stream.read_to_end(&mut all).await.unwrap(), 0);
}

/// A session over the Unix socket, which needs no password, and its answers to messages.
async fn session(messages: &[u8]) -> Vec<u8> {
    let server = start(|_| {}).await;
    let mut stream = tokio::net::UnixStream::connect(server.socket()).await.unwrap();
    stream.write_all(&startup(&[("user", "cairn")])).await.unwrap();
    let _ = stream.write_all(messages).await;
    let _ = stream.shutdown().await;
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    // What comes behind the first ReadyForQuery.
    let ready = all.windows(6).position(|window| window == b"Z\0\0\0\x05I").unwrap();
    all.split_off(ready + 6)
}

#[tokio::test]
async fn messages_that_are_none_end_the_session_and_texts_that_are_none_do_not() {
    let answer = session(&message(b'z', b"")).await;
    assert!(has(&answer, "08P01") && has(&answer, "FATAL"));
    let mut messages = message(b'Q', b"SELECT '\xff'\0");
    messages.extend(message(b'S', b""));
    messages.extend(message(b'Q', b"SELECT 'go on'\0"));
    let answer = session(&messages).await;
    assert!(has(&answer, "22021") && has(&answer, "go on"));
    // Bind of more values than the statement has; a portal that there is not.
    let mut messages = message(b'P', b"\0SELECT $1::int\0\0\0");
    messages.extend(message(b'B', b"\0\0\0\0\0\0\0\0"));
    messages.extend(message(b'E', b"\0\0\0\0\0"));
    messages.extend(message(b'S', b""));
    messages.extend(message(b'E', b"nobody\0\0\0\0\0"));
    messages.extend(message(b'S', b""));
    messages.extend(message(b'F', b"\0\0\0\x01"));
    let answer = session(&messages).await;
    assert!(has(&answer, "08P01") && has(&answer, "34000") && has(&answer, "0A000"));
    assert_eq!(answer.windows(5).filter(|window| *window == b"Z\0\0\0\x05").count(), 3);
    // A message that says it is longer than any may be.
    assert!(has(&session(b"Q\x7f\xff\xff\xff").await, "54000"));
}
