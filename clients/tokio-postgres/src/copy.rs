//! COPY.

use futures::{SinkExt, TryStreamExt, pin_mut};

use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::Type;

use crate::support::{self, code};

pub(crate) async fn rows_are_copied_in_and_out() {
    let client = support::client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, name text)").await.unwrap();
    let sink = client.copy_in("COPY t FROM STDIN").await.unwrap();
    pin_mut!(sink);
    // Pieces end anywhere.
    let mut data = String::new();
    for id in 0..20_000 {
        data.push_str(&format!("{id}\tname {id}\\n\n"));
    }
    for piece in data.as_bytes().chunks(1013) {
        sink.send(bytes(piece)).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 20_000);
    let out = client.copy_out("COPY (SELECT * FROM t ORDER BY id) TO STDOUT").await.unwrap();
    let pieces: Vec<_> = out.try_collect().await.unwrap();
    assert_eq!(pieces.len(), 20_000, "a message for each row");
    assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), data.len());
    // Rows of CSV may have line ends within.
    let out = client
        .copy_out("COPY (SELECT * FROM t WHERE id < 3 ORDER BY id) TO STDOUT (FORMAT csv)")
        .await
        .unwrap();
    let pieces: Vec<_> = out.try_collect().await.unwrap();
    assert_eq!(pieces.len(), 3);
    assert_eq!(&pieces[1][..], b"1,\"name 1\n\"\n");
}

pub(crate) async fn rows_are_copied_in_binary() {
    let client = support::client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, name text)").await.unwrap();
    let types = [Type::INT4, Type::TEXT];
    let sink = client.copy_in("COPY t FROM STDIN (FORMAT binary)").await.unwrap();
    let writer = BinaryCopyInWriter::new(sink, &types);
    pin_mut!(writer);
    for id in 0..20_000 {
        let name = (id % 3 > 0).then(|| format!("name {id}\n"));
        writer.as_mut().write(&[&id, &name]).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), 20_000);
    let out = client.copy_out("COPY (SELECT * FROM t ORDER BY id) TO STDOUT (FORMAT binary)").await.unwrap();
    let rows: Vec<_> = BinaryCopyOutStream::new(out, &types).try_collect().await.unwrap();
    assert_eq!(rows.len(), 20_000);
    assert_eq!((rows[4].get::<i32>(0), rows[4].get::<&str>(1)), (4, "name 4\n"));
    assert_eq!(rows[3].get::<Option<&str>>(1), None);
}

fn bytes(piece: &[u8]) -> std::io::Cursor<Vec<u8>> {
    std::io::Cursor::new(piece.to_vec())
}

pub(crate) async fn a_copy_that_fails_leaves_no_row_and_a_sound_session() {
    let client = support::client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, name text)").await.unwrap();
    let sink = client.copy_in("COPY t FROM STDIN").await.unwrap();
    pin_mut!(sink);
    sink.send(bytes(b"1\ta\nno number\tb\n")).await.unwrap();
    assert_eq!(code(&sink.finish().await.unwrap_err()), "22P02");
    // One that is given up.
    {
        let sink = client.copy_in("COPY t FROM STDIN").await.unwrap();
        pin_mut!(sink);
        sink.send(bytes(b"1\ta\n2\tb\n")).await.unwrap();
    }
    assert_eq!(client.query("SELECT * FROM t", &[]).await.unwrap().len(), 0);
    // One whose client is gone.
    let other = support::client().await;
    {
        let sink = other.copy_in("COPY t FROM STDIN").await.unwrap();
        pin_mut!(sink);
        sink.send(bytes(b"1\ta\n")).await.unwrap();
        drop(other);
    }
    assert_eq!(client.query("SELECT * FROM t", &[]).await.unwrap().len(), 0);
    // The driver takes no part in its own session after this, with PostgreSQL either.
    let lost = support::client().await;
    let missing = lost.copy_in::<_, std::io::Cursor<Vec<u8>>>("COPY nothing FROM STDIN").await;
    assert_eq!(code(&missing.err().unwrap()), "42P01");
}
