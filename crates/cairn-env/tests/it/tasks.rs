//! Background tasks and signals, on threads and in the simulation.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cairn_env::sim::{SimOptions, Simulation};
use cairn_env::{Env, Step};

fn on_both(test: impl Fn(&Env)) {
    test(&Env::os());
    for seed in 0..50 {
        test(&Simulation::new(SimOptions::new(seed)).env());
    }
}

#[test]
fn a_wake_is_never_lost() {
    on_both(|env| {
        let signal = env.signal();
        let (wanted, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let task = {
            let (wanted, done, signal) = (Arc::clone(&wanted), Arc::clone(&done), signal.clone());
            let step = move || {
                done.store(wanted.load(Ordering::SeqCst), Ordering::SeqCst);
                signal.notify_all();
                Step::Idle
            };
            env.tasks().spawn("copy", Box::new(step)).unwrap()
        };
        for i in 1..=200 {
            wanted.store(i, Ordering::SeqCst);
            task.wake();
            env.tasks().yield_point();
            signal.wait_until(|| done.load(Ordering::SeqCst) == i);
        }
        task.stop();
    });
}

#[test]
fn timers_run_again_and_done_ends() {
    on_both(|env| {
        let signal = env.signal();
        let count = Arc::new(AtomicU64::new(0));
        let task = {
            let (count, signal) = (Arc::clone(&count), signal.clone());
            let step = move || {
                let n = count.fetch_add(1, Ordering::SeqCst) + 1;
                signal.notify_all();
                if n == 5 { Step::Done } else { Step::IdleFor(Duration::from_millis(1)) }
            };
            env.tasks().spawn("tick", Box::new(step)).unwrap()
        };
        signal.wait_until(|| count.load(Ordering::SeqCst) == 5);
        task.wake();
        drop(task);
        assert_eq!(count.load(Ordering::SeqCst), 5);
    });
}

#[test]
fn stop_waits_for_the_step_and_drops_it() {
    struct SetOnDrop(Arc<AtomicBool>);
    impl Drop for SetOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    on_both(|env| {
        let dropped = Arc::new(AtomicBool::new(false));
        let guard = SetOnDrop(Arc::clone(&dropped));
        let step = move || {
            let _keep = &guard;
            Step::Again
        };
        let task = env.tasks().spawn("busy", Box::new(step)).unwrap();
        task.stop();
        assert!(dropped.load(Ordering::SeqCst));
    });
}

#[test]
#[should_panic(expected = "simulation deadlock")]
fn a_wait_that_nobody_ends_is_reported() {
    let env = Simulation::new(SimOptions::new(1)).env();
    let _task = env.tasks().spawn("lazy", Box::new(|| Step::Idle)).unwrap();
    env.signal().wait_until(|| false);
}

#[test]
fn tasks_interleave_by_seed() {
    let run = |seed: u64| {
        let env = Simulation::new(SimOptions::new(seed)).env();
        let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..3)
            .map(|number| {
                let order = Arc::clone(&order);
                let step = move || {
                    order.lock().push(number);
                    Step::Again
                };
                env.tasks().spawn("t", Box::new(step)).unwrap()
            })
            .collect();
        env.signal().wait_until(|| order.lock().len() >= 20);
        drop(tasks);
        order.lock().clone()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
