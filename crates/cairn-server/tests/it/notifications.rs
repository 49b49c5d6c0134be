//! LISTEN and NOTIFY across sessions.

use crate::support::{Client, message, start};

/// The next message, which is a notification: its sender, channel and payload.
async fn notification(client: &mut Client) -> (u32, String, String) {
    let (kind, body) = client.next().await.unwrap();
    assert_eq!(kind, b'A');
    let texts: Vec<String> =
        body[4..].split(|byte| *byte == 0).map(|text| String::from_utf8(text.to_vec()).unwrap()).collect();
    (u32::from_be_bytes(body[..4].try_into().unwrap()), texts[0].clone(), texts[1].clone())
}

#[tokio::test]
async fn an_idle_session_is_told_at_once() {
    let server = start(|_| {}).await;
    let (mut client, mut other) = (server.client().await, server.client().await);
    client.query("LISTEN orders").await.unwrap();
    let pid = other.query("SELECT pg_backend_pid()").await.unwrap()[0][0].clone().unwrap();
    for n in 0..100 {
        other.query(&format!("NOTIFY orders, '{n}'")).await.unwrap();
        let expected = (pid.parse().unwrap(), "orders".to_owned(), n.to_string());
        assert_eq!(notification(&mut client).await, expected);
    }
    // The embedded database is the same one.
    server.database.execute("NOTIFY orders, 'from within'", &[]).unwrap();
    assert_eq!(notification(&mut client).await.2, "from within");
    assert_eq!(client.query("SELECT 1").await.unwrap(), [[Some("1".to_owned())]]);
}

/// Within a block nothing is told; at its end everything is, before the session is ready.
#[tokio::test]
async fn messages_wait_for_the_end_of_the_block() {
    let server = start(|_| {}).await;
    let (mut client, mut other) = (server.client().await, server.client().await);
    client.query("LISTEN a").await.unwrap();
    client.query("BEGIN").await.unwrap();
    other.query("NOTIFY a, 'one'; NOTIFY a, 'two'").await.unwrap();
    client.send(&message(b'Q', b"SELECT 1\0")).await;
    assert!(client.until_ready().await.unwrap().iter().all(|(kind, _)| *kind != b'A'));
    client.send(&message(b'Q', b"NOTIFY a, 'own'; COMMIT\0")).await;
    let kinds: Vec<u8> = client.until_ready().await.unwrap().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, b"CCAAA");
    // A session that is gone listens no more.
    drop(client);
    other.query("NOTIFY a, 'to nobody'").await.unwrap();
}
