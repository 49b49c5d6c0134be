//! Who has a session, and how many.

use crate::support::start;

#[tokio::test]
async fn as_many_as_there_is_room_for() {
    let server = start(|options| options.connections_max = 3).await;
    let clients = [server.client().await, server.client().await, server.client().await];
    assert_eq!(server.try_client().await.err().unwrap(), "53300");
    drop(clients);
    // A place is given back when the session has noticed.
    while server.try_client().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_socket_goes_with_the_server() {
    let server = start(|_| {}).await;
    let (client, path) = (server.client().await, server.socket());
    assert!(path.exists());
    drop(client);
    server.stop().await;
    assert!(!path.exists());
}
