//! LISTEN and NOTIFY: who gets which message, in which order, and what rolling back takes back.

use std::sync::Arc;

use cairn_engine::{Database, Error, Listener, TxnOptions};

fn taken(listener: &Listener) -> Vec<String> {
    std::iter::from_fn(|| listener.take()).map(|m| format!("{}:{}", m.channel, m.payload)).collect()
}

fn listening(db: &Database, channels: &[&str]) -> Arc<Listener> {
    let listener = db.listener();
    let txn = db.begin(TxnOptions::default()).unwrap();
    for channel in channels {
        txn.listen(&listener, channel).unwrap();
    }
    txn.commit().unwrap();
    listener
}

#[test]
fn messages_arrive_with_the_commit() {
    let db = Database::in_memory().unwrap();
    let (a, both) = (listening(&db, &["a"]), listening(&db, &["b", "a"]));
    let txn = db.begin(TxnOptions::default()).unwrap();
    txn.notify("a", "1").unwrap();
    txn.notify("b", "2").unwrap();
    txn.notify("a", "1").unwrap();
    let savepoint = txn.savepoint().unwrap();
    txn.notify("a", "taken back").unwrap();
    txn.unlisten(&a, None).unwrap();
    txn.rollback_to(savepoint).unwrap();
    txn.notify("a", "3").unwrap();
    assert!(txn.has_writes());
    assert!(!a.has_messages() && !both.has_messages());
    txn.commit().unwrap();
    assert_eq!(taken(&a), ["a:1", "a:3"]);
    assert_eq!(taken(&both), ["a:1", "b:2", "a:3"]);
    let txn = db.begin(TxnOptions::default()).unwrap();
    txn.notify("a", "never").unwrap();
    txn.unlisten(&both, Some("b")).unwrap();
    txn.rollback();
    assert!(!a.has_messages());
    assert_eq!(both.channels(), ["a".into(), "b".into()]);
    let txn = db.begin(TxnOptions::default()).unwrap();
    txn.notify("b", "to nobody").unwrap();
    txn.unlisten(&both, Some("b")).unwrap();
    txn.listen(&a, "c").unwrap();
    txn.notify("c", "to itself").unwrap();
    txn.commit().unwrap();
    assert_eq!((taken(&a), taken(&both)), (vec!["c:to itself".to_owned()], Vec::new()));
}

#[test]
fn a_transaction_that_fails_says_nothing() {
    let db = Database::in_memory().unwrap();
    let listener = listening(&db, &["a"]);
    let [first, second] = [1, 2].map(|n| {
        let txn = db
            .begin(TxnOptions { isolation: cairn_engine::Isolation::Snapshot, ..Default::default() })
            .unwrap();
        txn.get(b"k").unwrap();
        txn.put(b"k", &[n]).unwrap();
        txn.notify("a", &n.to_string()).unwrap();
        txn
    });
    first.commit().unwrap();
    assert!(matches!(second.commit(), Err(Error::Conflict { .. })));
    assert_eq!(taken(&listener), ["a:1"]);
}

/// What commits first is told first: each transaction counts a key up, and tells what it has counted to.
#[test]
fn messages_come_in_the_order_of_the_commits() {
    let db = Database::in_memory().unwrap();
    let listeners = [listening(&db, &["n"]), listening(&db, &["n"])];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut left = 100;
                while left > 0 {
                    let txn = db.begin(TxnOptions::default()).unwrap();
                    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
                    let next = txn.get(b"n").unwrap().map_or(0, |bytes| number(&bytes)) + 1;
                    txn.put(b"n", &next.to_be_bytes()).unwrap();
                    txn.notify("n", &next.to_string()).unwrap();
                    left -= usize::from(txn.commit().is_ok());
                }
            });
        }
    });
    let expected: Vec<String> = (1..=400).map(|n| format!("n:{n}")).collect();
    for listener in &listeners {
        assert_eq!(taken(listener), expected);
    }
}

#[test]
fn there_is_room_for_so_much_and_it_comes_back() {
    let db = Database::in_memory().unwrap();
    let slow = listening(&db, &["a"]);
    let payload = "x".repeat(1 << 20);
    let send = |n: usize| {
        let txn = db.begin(TxnOptions::default()).unwrap();
        txn.put(b"last", &n.to_be_bytes()).unwrap();
        txn.notify("a", &format!("{n}{payload}")).unwrap();
        txn.commit()
    };
    let refused = (0..100).find(|n| send(*n).is_err()).unwrap();
    assert!((60..=64).contains(&refused), "{refused}");
    let error = send(1000).unwrap_err();
    assert_eq!(
        (error.sqlstate(), error.to_string().as_str()),
        ("54000", "too many notifications in the NOTIFY queue")
    );
    // It has not committed either.
    let last = db.begin(TxnOptions::default()).unwrap().get(b"last").unwrap();
    assert_eq!(last.unwrap(), (refused - 1).to_be_bytes().as_slice());
    assert!(db.notifications_usage() > 0.9);
    slow.take().unwrap();
    send(7).unwrap();
    drop(slow);
    assert!(db.notifications_usage() < 1e-9);
    for n in 0..200 {
        send(n).unwrap();
    }
    let txn = db.begin(TxnOptions::default()).unwrap();
    let full = (0..100).find(|n| txn.notify("a", &format!("{n}{payload}")).is_err()).unwrap();
    assert!((60..=64).contains(&full), "{full}");
}

#[test]
fn who_waits_is_woken() {
    let db = Database::in_memory().unwrap();
    let listener = listening(&db, &["a"]);
    assert!(!listener.wait(std::time::Duration::ZERO));
    let (sender, woken) = std::sync::mpsc::channel();
    listener.on_arrival(move || sender.send(()).unwrap());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| listener.wait(std::time::Duration::MAX));
        let txn = db.begin(TxnOptions::default()).unwrap();
        txn.notify("a", "").unwrap();
        txn.commit().unwrap();
        assert!(waiting.join().unwrap());
    });
    woken.recv().unwrap();
    assert_eq!(taken(&listener), ["a:"]);
}
