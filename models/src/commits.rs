//! The commit queue on the operating system's signals: the lead is handed over, nobody waits for ever, each gets its
//! own result, and commits become visible in the order of their sequences.
// One thread at a time runs a model, whatever its types say.
#![allow(clippy::arc_with_non_send_sync)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

use crate::commit::Request;
use crate::commit_queue::CommitHandle;
use crate::core::{Core, Env};
use crate::error::{Error, Result};
use crate::model;
use crate::signal::Signal;
use crate::sync::Mutex;

/// How a number is committed.
#[derive(Clone, Copy)]
enum Way {
    Blocking,
    /// Begun, then waited for.
    Begun,
    /// Begun, then awaited by an executor.
    Awaited,
    /// Begun and forgotten.
    Forgotten,
}

/// An executor's place to sleep. (A mutex: the checker lets an exchange overlook an earlier store.)
struct Parker {
    woken: Mutex<bool>,
    signal: Signal,
}

impl Wake for Parker {
    fn wake(self: Arc<Parker>) {
        *self.woken.lock() = true;
        self.signal.notify_all();
    }
}

fn block_on(handle: CommitHandle) -> Result<u64> {
    let parker = Arc::new(Parker { woken: Mutex::new(false), signal: Env.signal() });
    let waker = Waker::from(Arc::clone(&parker));
    let mut handle = pin!(handle);
    loop {
        if let Poll::Ready(result) = handle.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        parker.signal.wait_until(|| std::mem::take(&mut *parker.woken.lock()));
    }
}

/// Commits a number; gives its sequence where it is asked for.
fn commit(core: &Arc<Core>, number: u64, way: Way) -> Option<Result<u64>> {
    let result = match way {
        Way::Blocking => core.commit(Request::of(number)),
        Way::Begun => core.commit_async(Request::of(number)).wait(),
        Way::Awaited => block_on(core.commit_async(Request::of(number))),
        Way::Forgotten => {
            drop(core.commit_async(Request::of(number)));
            return None;
        }
    };
    let newest = core.snapshots.newest();
    assert!(result.as_ref().is_ok_and(|seq| *seq <= newest), "{result:?} is told, {newest} is visible");
    Some(result)
}

/// Threads that commit numbers, each so many in its ways; with the task that leads awaited commits, or without.
fn commit_all(background: bool, threads: &'static [&'static [Way]]) {
    model(move || {
        let core = Core::new(background);
        let task = background.then(|| {
            let core = Arc::clone(&core);
            thread::spawn(move || core.run_task())
        });
        let work = |core: &Arc<Core>, at: usize| -> Vec<(u64, u64)> {
            let numbers = threads[at].iter().zip(10 * at as u64..);
            let done =
                numbers.filter_map(|(way, number)| Some((commit(core, number, *way)?.unwrap(), number)));
            let done: Vec<_> = done.collect();
            assert!(done.is_sorted_by(|a, b| a.0 < b.0), "a later commit has an earlier place: {done:?}");
            done
        };
        let others: Vec<_> = (1..threads.len())
            .map(|at| {
                let core = Arc::clone(&core);
                thread::spawn(move || work(&core, at))
            })
            .collect();
        let mut done = work(&core, 0);
        others.into_iter().for_each(|thread| done.extend(thread.join().unwrap()));
        core.finish_awaited();
        core.stop_task();
        task.into_iter().for_each(|task| task.join().unwrap());
        let committed = core.committed();
        assert_eq!(committed.len(), threads.iter().map(|ways| ways.len()).sum::<usize>(), "served once each");
        assert_eq!(core.snapshots.newest() as usize, committed.len());
        for (seq, number) in done {
            assert_eq!(committed[seq as usize - 1], number, "another's result");
        }
    });
}

#[test]
fn two_threads_hand_over_and_over() {
    commit_all(false, &[&[Way::Blocking; 2], &[Way::Blocking; 2]]);
}

#[test]
fn three_threads_share_a_group() {
    commit_all(false, &[&[Way::Blocking], &[Way::Blocking], &[Way::Blocking]]);
}

#[test]
fn awaited_commits_are_led_by_whoever_comes() {
    commit_all(false, &[&[Way::Blocking], &[Way::Awaited], &[Way::Forgotten]]);
}

#[test]
fn awaited_commits_are_led_by_the_task() {
    commit_all(true, &[&[Way::Awaited, Way::Begun]]);
}

#[test]
fn awaited_commits_are_led_by_the_task_beside_a_thread() {
    commit_all(true, &[&[Way::Blocking], &[Way::Awaited]]);
}

#[test]
fn closing_waits_for_what_was_begun_and_refuses_the_rest() {
    model(|| {
        let core = Core::new(false);
        let other = {
            let core = Arc::clone(&core);
            thread::spawn(move || core.commit_async(Request::of(7)).wait())
        };
        core.finish_awaited();
        let closed_with = core.snapshots.newest();
        match other.join().unwrap() {
            Ok(seq) => assert_eq!((seq, closed_with), (1, 1), "closed before it was done"),
            Err(error) => assert_eq!((error, closed_with), (Error::Closed, 0)),
        }
    });
}
