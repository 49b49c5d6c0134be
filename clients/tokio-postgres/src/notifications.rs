//! LISTEN and NOTIFY.

use futures::{StreamExt, stream};
use tokio_postgres::{AsyncMessage, NoTls};

use crate::support;

pub(crate) async fn messages_arrive_when_their_transaction_commits() {
    let (listening, mut connection) = support::config().connect(NoTls).await.unwrap();
    let (sender, mut messages) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut all = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = all.next().await {
            if let AsyncMessage::Notification(message) = message {
                sender.send(message).unwrap();
            }
        }
    });
    listening.batch_execute("LISTEN orders").await.unwrap();
    let mut client = support::client().await;
    let transaction = client.transaction().await.unwrap();
    transaction.execute("SELECT pg_notify('orders', $1)", &[&"number 7"]).await.unwrap();
    listening.batch_execute("SELECT 1").await.unwrap();
    assert!(messages.try_recv().is_err());
    transaction.commit().await.unwrap();
    let message = messages.recv().await.unwrap();
    assert_eq!((message.channel(), message.payload()), ("orders", "number 7"));
}
