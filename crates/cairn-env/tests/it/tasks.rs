//! Background tasks and signals, on threads and in the simulation.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cairn_env::sim::{SimOptions, Simulation};
use cairn_env::{Env, Lock, OpenMode, Step};

fn on_both(test: impl Fn(&Env)) {
    test(&Env::os());
    for seed in 0..50 {
        test(&Simulation::new(SimOptions::new(seed)).env());
        test(&Simulation::new(SimOptions { fibers: true, ..SimOptions::new(seed) }).env());
    }
}

/// Clients interleave in the middle of what a lock protects, nobody gets in, and the seed tells the order.
#[test]
fn clients_take_turns_by_the_seed() {
    let run = |seed| {
        let simulation = Simulation::new(SimOptions { fibers: true, ..SimOptions::new(seed) });
        let env = simulation.env();
        let (shared, order) = (Arc::new(Lock::new((0, 0))), Arc::new(Lock::new(Vec::new())));
        let signal = env.signal();
        let client = |number: usize| -> Box<dyn FnOnce() + Send> {
            let (env, signal) = (env.clone(), signal.clone());
            let (shared, order) = (Arc::clone(&shared), Arc::clone(&order));
            Box::new(move || {
                for round in 0..10 {
                    {
                        let mut shared = shared.lock();
                        shared.0 += 1;
                        let path = format!("/{number}-{round}");
                        env.files().open(path.as_ref(), OpenMode::CreateNew).unwrap().sync_data().unwrap();
                        env.clock().sleep(Duration::from_micros(5));
                        shared.1 += 1;
                        assert_eq!(shared.0, shared.1);
                        order.lock().push(number);
                    }
                    signal.notify_all();
                    signal.wait_until(|| shared.lock().1 > round);
                    env.tasks().yield_point();
                }
            })
        };
        simulation.run_clients((0..4).map(client).collect());
        let order = order.lock().clone();
        assert_eq!(order.len(), 40);
        (order, simulation.trace_hash())
    };
    let runs: Vec<_> = (0..20).map(run).collect();
    assert!(runs.iter().enumerate().all(|(seed, told)| *told == run(seed as u64)), "a seed gave two runs");
    assert!(runs.windows(2).any(|pair| pair[0].0 != pair[1].0), "seeds make no difference");
}

#[test]
fn a_panic_in_a_client_reaches_the_caller() {
    let simulation = Simulation::new(SimOptions { fibers: true, ..SimOptions::new(1) });
    let env = simulation.env();
    let others = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&others);
    let clients: Vec<Box<dyn FnOnce() + Send>> = vec![
        Box::new(|| panic!("a client's words")),
        Box::new(move || {
            while env.files().open("/x".as_ref(), OpenMode::Create).is_ok() {}
            seen.fetch_add(1, Ordering::SeqCst);
        }),
    ];
    let run = std::panic::AssertUnwindSafe(|| simulation.run_clients(clients));
    let words = std::panic::catch_unwind(run).unwrap_err();
    assert_eq!(words.downcast_ref::<&str>(), Some(&"a client's words"));
    assert_eq!(others.load(Ordering::SeqCst), 1, "the others come to their end first");
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

#[test]
fn a_wait_with_a_bound_ends_by_itself_or_by_the_signal() {
    let bound = Duration::from_millis(20);
    let sim = || Simulation::new(SimOptions::new(1)).env();
    for env in [Env::memory(), sim()] {
        let signal = env.signal();
        let start = env.clock().monotonic_nanos();
        assert!(!signal.wait_for(|| false, bound));
        assert!(env.clock().monotonic_nanos() - start >= bound.as_nanos() as u64);
        assert!(signal.wait_for(|| true, Duration::ZERO));
        let ready = Arc::new(AtomicBool::new(false));
        let task = {
            let (ready, signal) = (Arc::clone(&ready), signal.clone());
            env.tasks().spawn(
                "teller",
                Box::new(move || {
                    ready.store(true, Ordering::SeqCst);
                    signal.notify_all();
                    Step::Done
                }),
            )
        };
        assert!(signal.wait_for(|| ready.load(Ordering::SeqCst), Duration::from_secs(3600)));
        drop(task.unwrap());
    }
}
