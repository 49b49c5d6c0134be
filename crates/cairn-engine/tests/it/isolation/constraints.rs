//! Unique and foreign keys under concurrency: who waits as PostgreSQL waits, and never a violated constraint, whatever the
//! levels of those who meet.

use super::waits::unique_index;
use super::*;
use crate::support::{Random, seed};
use cairn_engine::ddl::{ConstraintSpec, IndexColumnSpec, IndexSpec};

fn client(work: impl FnOnce(&Here) + Send + 'static) -> Client {
    Box::new(work)
}

/// A world with a unique index on `v` of `t`, a parent `p` (rows 1 to 4) and its child `c`, indexed or not.
fn world(seed: u64, indexed: bool) -> World {
    let world = World::new(seed);
    let txn = begin(&world.db, Isolation::Snapshot);
    txn.create_index(&unique_index("v")).unwrap();
    simple_table(&txn, "p", &[("v", DataType::Integer)]).unwrap();
    simple_table(&txn, "c", &[("p", DataType::Integer)]).unwrap();
    let foreign_key = ConstraintSpec::ForeignKey {
        name: None,
        columns: vec!["p".into()],
        parent: ("public".into(), "p".into()),
        parent_columns: vec![],
        on_delete: Default::default(),
        on_update: Default::default(),
        not_valid: false,
        deferrable: None,
    };
    txn.add_constraint("public", "c", foreign_key).unwrap();
    if indexed {
        let (schema, table, kind) = ("public".into(), "c".into(), "btree".into());
        let columns = vec![IndexColumnSpec::ascending("p")];
        txn.create_index(&IndexSpec {
            schema,
            table,
            name: None,
            kind,
            columns,
            unique: false,
            ..Default::default()
        })
        .unwrap();
    }
    for id in 1..5 {
        insert(&txn, "p", id, Some(0)).unwrap();
    }
    txn.commit().unwrap();
    world
}

/// The second to insert a key waits for the first: 23505 where it committed, done where it rolled back.
#[test]
fn the_second_inserter_waits_for_the_first() {
    let world = world(1, true);
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        for (by_index, commits) in [(false, false), (false, true), (true, false), (true, true)] {
            let lines = world.run(vec![
                client(move |here| {
                    let txn = here.begin(isolation);
                    insert(&txn, "t", 50, Some(500)).unwrap();
                    here.pause(10);
                    here.say("first ends");
                    if commits {
                        txn.commit().unwrap();
                    }
                }),
                client(move |here| {
                    here.pause(5);
                    let txn = here.begin(isolation);
                    let (id, v) = if by_index { (51, 500) } else { (50, 501) };
                    let done = insert(&txn, "t", id, Some(v));
                    here.say(outcome(&done));
                    // The transaction goes on after the failed statement.
                    insert(&txn, "t", 60, Some(600)).unwrap();
                    txn.commit().unwrap();
                }),
            ]);
            assert_eq!(
                lines,
                ["first ends", if commits { "23505" } else { "ok" }],
                "{isolation:?} {by_index}"
            );
            let clean = begin(&world.db, Isolation::Snapshot);
            [50, 51, 60].into_iter().for_each(|id| assert!(delete(&clean, "t", id).unwrap() < 2));
            clean.commit().unwrap();
        }
        // A key that is being given up: the inserter waits for the delete, too.
        let lines = world.run(vec![
            client(move |here| {
                let txn = here.begin(isolation);
                delete(&txn, "t", 3).unwrap();
                here.pause(10);
                here.say("first ends");
                txn.commit().unwrap();
            }),
            client(move |here| {
                here.pause(5);
                let txn = here.begin(isolation);
                here.say(outcome(&insert(&txn, "t", 70, Some(30))));
                txn.commit().unwrap();
            }),
        ]);
        assert_eq!(lines, ["first ends", "ok"], "{isolation:?}");
        let reset = begin(&world.db, Isolation::Snapshot);
        delete(&reset, "t", 70).unwrap();
        insert(&reset, "t", 3, Some(30)).unwrap();
        reset.commit().unwrap();
    }
}

#[test]
fn parent_and_child_wait_for_each_other() {
    for indexed in [true, false] {
        let world = world(2, indexed);
        for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
            for (child_first, commits, wanted) in
                [(true, true, "23503"), (true, false, "ok"), (false, true, "23503"), (false, false, "ok")]
            {
                let act = |child: bool, txn: &Transaction| match child {
                    true => insert(txn, "c", 1, Some(2)),
                    false => delete(txn, "p", 2).map(drop),
                };
                let lines = world.run(vec![
                    client(move |here| {
                        let txn = here.begin(isolation);
                        act(child_first, &txn).unwrap();
                        here.pause(10);
                        here.say("first ends");
                        if commits {
                            txn.commit().unwrap();
                        }
                    }),
                    client(move |here| {
                        here.pause(5);
                        let txn = here.begin(isolation);
                        here.say(outcome(&act(!child_first, &txn)));
                    }),
                ]);
                // The snapshot has the parent that is gone: PostgreSQL has the transaction run again.
                let seen = isolation == Isolation::RepeatableRead && !child_first && commits;
                let wanted = if seen { "40001" } else { wanted };
                assert_eq!(lines, ["first ends", wanted], "{isolation:?} {indexed} {child_first} {commits}");
                let reset = begin(&world.db, Isolation::Snapshot);
                delete(&reset, "c", 1).unwrap();
                delete(&reset, "p", 2).unwrap();
                insert(&reset, "p", 2, Some(0)).unwrap();
                reset.commit().unwrap();
            }
        }
    }
}

/// A parent that changes, but not in its key, is no matter for its children: nobody waits, nobody fails.
#[test]
fn changes_of_the_parent_beside_its_key_do_not_matter() {
    let world = world(3, true);
    for (n, isolation) in LEVELS.into_iter().enumerate() {
        // A serializable child has read its parent: there it matters, and says so.
        let (parent, child) = (begin(&world.db, isolation), begin(&world.db, isolation));
        update(&parent, "p", 1, Some(n as i32 + 1)).unwrap();
        insert(&child, "c", 10 + n as i32, Some(1)).unwrap();
        parent.commit().unwrap();
        assert_eq!(child.commit().is_err(), isolation == Isolation::Serializable, "{isolation:?}");
    }
}

/// Clients of all levels insert, move and delete equal keys, parents and children at random, commit or roll back: in the
/// end every constraint holds, and errors are those that PostgreSQL would give.
#[test]
fn races_never_violate_a_constraint() {
    let first = seed(100);
    for seed in first..first + 24 {
        race(seed);
    }
}

fn race(seed: u64) {
    let world = world(seed, seed.is_multiple_of(2));
    let clients = (0..4u64).map(|own| {
        client(move |here| {
            let mut random = Random(seed * 10 + own);
            for _ in 0..12 {
                let isolation = LEVELS[random.below(4) as usize];
                let txn = here.begin(isolation);
                for _ in 0..1 + random.below(3) {
                    let (id, v) = (random.below(5) as i32, random.below(5) as i32);
                    let what = random.below(6);
                    let done = statement(&txn, || match what {
                        0 => insert(&txn, "t", id, Some(v)),
                        1 => update(&txn, "t", id, Some(v)).map(drop),
                        2 => delete(&txn, "t", id).map(drop),
                        3 => insert(&txn, "c", id, Some(v)),
                        4 => delete(&txn, "p", v).map(drop),
                        _ => insert(&txn, "p", v, Some(id)),
                    });
                    match outcome(&done) {
                        "ok" | "23505" | "23503" => {}
                        "40001" | "40P01" => break,
                        other => panic!("seed {seed}: {other}: {done:?}"),
                    }
                    if random.below(2) == 0 {
                        here.pause(random.below(3));
                    }
                }
                if random.below(4) == 0 {
                    txn.rollback();
                } else {
                    let done = txn.commit();
                    assert!(
                        matches!(outcome(&done), "ok" | "40001" | "40P01" | "25P01"),
                        "seed {seed}: {done:?}"
                    );
                }
            }
        })
    });
    world.run(clients.collect());
    let view = world.db.view().unwrap();
    let ids = |name: &str, place: usize| -> Vec<Value> {
        let table = view.catalog().table("public", name).unwrap();
        let rows = crate::support::all_rows(&view, &table).unwrap();
        rows.into_iter().map(|row| row[place].clone()).collect()
    };
    let (parents, children) = (ids("p", 0), ids("c", 1));
    let orphan = children.iter().find(|child| !parents.contains(child));
    assert!(orphan.is_none(), "seed {seed}: no parent {orphan:?} in {parents:?}");
    let values = ids("t", 1);
    let twice = values.iter().find(|v| values.iter().filter(|other| other == v).count() > 1);
    assert!(twice.is_none(), "seed {seed}: {twice:?} twice in {values:?}");
}
