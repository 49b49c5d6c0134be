//! LISTEN: a session of its own that tells the client of messages.

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::super::guest::Guest;
use super::super::problem::Problem;
use super::Out;

/// Statements that wait.
const WAITING_MAX: usize = 8;

type Statement = (String, oneshot::Sender<Result<(), Problem>>);

/// Where LISTEN and UNLISTEN are given to the session.
#[derive(Clone)]
pub(super) struct Listener(mpsc::Sender<Statement>);

impl Listener {
    /// Starts a task that waits for messages.
    pub(super) fn start(guest: Guest, out: Out, tasks: &mut JoinSet<()>) -> Listener {
        let (statements, waiting) = mpsc::channel(WAITING_MAX);
        tasks.spawn(listen(guest, out, waiting));
        Listener(statements)
    }

    pub(super) async fn listen(&self, channel: &str) -> Result<(), Problem> {
        self.run("LISTEN", channel).await
    }

    pub(super) async fn unlisten(&self, channel: &str) -> Result<(), Problem> {
        self.run("UNLISTEN", channel).await
    }

    async fn run(&self, verb: &str, channel: &str) -> Result<(), Problem> {
        let (done, result) = oneshot::channel();
        let sql = format!("{verb} \"{}\"", channel.replace('"', "\"\""));
        let ended = || Problem::new(503, "57P01", "the session that listens has ended");
        self.0.send((sql, done)).await.map_err(|_| ended())?;
        result.await.map_err(|_| ended())?
    }
}

async fn listen(mut guest: Guest, out: Out, mut waiting: mpsc::Receiver<Statement>) {
    loop {
        tokio::select! {
            () = guest.session.notified() => {}
            statement = waiting.recv() => {
                let Some((sql, done)) = statement else { return };
                let result = guest.run(&sql, &[]).await.map(drop).map_err(Problem::from);
                let _ = done.send(result);
            }
        }
        for own in guest.session.take_notifications() {
            let text = json!({
                "type": "notification",
                "channel": &*own.channel,
                "payload": &*own.payload,
                "process_id": own.process_id,
            });
            if out.send(text.to_string()).await.is_err() {
                return;
            }
        }
    }
}
