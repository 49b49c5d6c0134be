//! The arena skiplist: concurrent insertion and reading, and its allocator.
#![allow(unsafe_code)]

#[path = "../../crates/cairn-storage/src/memtable/arena.rs"]
mod arena;
#[path = "../../crates/cairn-storage/src/memtable/directory.rs"]
mod directory;
#[path = "../../crates/cairn-storage/src/memtable/skiplist.rs"]
mod skiplist;

// What a test notes: no part of the model.
use std::sync::{Arc, Mutex};

use self::arena::Arena;
use self::skiplist::{Hint, Skiplist, TOGETHER, Walker};
use crate::registry::Registry;
use crate::{model_of_two, together};

/// The list's heights come from a fixed sequence: after so many insertions the next node is taller than one level.
const BEFORE_TALL: u8 = 3;

fn insert(list: &Skiplist, key: u8, hint: &mut Hint) {
    list.insert(&[key], 1, &[key, key], hint);
}

/// Every key by a walk, each with its own value.
fn walk(list: &Arc<Skiplist>) -> Vec<u8> {
    let mut walker = Walker::new(Arc::clone(list));
    let mut keys = Vec::new();
    walker.seek_first();
    while walker.valid() {
        let key = walker.key()[0];
        assert_eq!((walker.trailer(), walker.value()), (1, &[key, key][..]), "a torn entry");
        keys.push(key);
        walker.next();
    }
    assert!(keys.is_sorted_by(|a, b| a < b), "out of order: {keys:?}");
    keys
}

/// A list in which some keys are, and the next node is a tall one.
fn begun(hint: &mut Hint) -> Arc<Skiplist> {
    let list = Arc::new(Skiplist::new());
    (0..BEFORE_TALL).for_each(|number| insert(&list, 10 * number, hint));
    list
}

#[test]
fn a_reader_meets_whole_entries_in_order() {
    model_of_two(|swapped| {
        let list = begun(&mut Hint::default());
        let (written, read) = (Arc::clone(&list), Arc::clone(&list));
        let write = move || {
            let mut hint = Hint::default();
            insert(&written, 15, &mut hint);
            insert(&written, 16, &mut hint);
        };
        let read = move || {
            let found = walk(&read);
            assert!(found.contains(&0) && (!found.contains(&16) || found.contains(&15)), "{found:?}");
            assert!(read.find(&[15], 0).is_none_or(|late| late.value == [15; 2]));
        };
        together(swapped, write, read);
        assert_eq!(walk(&list), [0, 10, 15, 16, 20]);
    });
}

#[test]
fn what_is_published_is_found() {
    model_of_two(|swapped| {
        let list = begun(&mut Hint::default());
        let registry = Arc::new(Registry::new(0));
        let (written, publish) = (Arc::clone(&list), Arc::clone(&registry));
        let write = move || {
            let mut hint = Hint::default();
            for (seq, key) in [(1, 5), (2, 6)] {
                insert(&written, key, &mut hint);
                publish.publish(seq);
            }
        };
        let read = move || {
            let newest = registry.newest();
            for (seq, key) in [(1, 5), (2, 6)] {
                let found = list.find(&[key], 1);
                let whole = found.is_some_and(|found| found.value == [key; 2]);
                assert!(newest < seq || whole, "{key} is not found");
            }
        };
        together(swapped, write, read);
    });
}

/// As above, by the directory of keys, which a third key has to move to a larger table.
#[test]
fn what_is_published_is_found_by_the_directory() {
    /// A table of 128 slots takes so many.
    const BEFORE_FULL: u8 = 88;
    model_of_two(|swapped| {
        let list = Arc::new(Skiplist::new());
        let mut hint = Hint::default();
        (0..BEFORE_FULL).for_each(|key| insert(&list, key, &mut hint));
        list.set_directory(0);
        let registry = Arc::new(Registry::new(0));
        let (written, publish) = (Arc::clone(&list), Arc::clone(&registry));
        let write = move || {
            for (seq, key) in [(1, 200), (2, 201)] {
                insert(&written, key, &mut hint);
                publish.publish(seq);
            }
        };
        let read = move || {
            let newest = registry.newest();
            for (seq, key) in [(1, 200), (2, 201)] {
                let found = list.find(&[key], 1);
                let whole = found.is_some_and(|found| found.value == [key; 2]);
                assert!(newest < seq || whole, "{key} is not found");
                // The checker sees links, not keys: this lookup has to follow the one of a node that it finds.
                assert!(list.find(&[key], 2).is_none(), "{key} has one version");
            }
            assert!(list.find(&[BEFORE_FULL - 1], 1).is_some() && list.find(&[100], 1).is_none());
        };
        together(swapped, write, read);
    });
}

/// The directory is made while another thread inserts.
#[test]
fn what_is_inserted_beside_a_directory_being_made_is_found() {
    model_of_two(|swapped| {
        let list = begun(&mut Hint::default());
        let (written, made) = (Arc::clone(&list), Arc::clone(&list));
        let write = move || {
            let mut hint = Hint::default();
            insert(&written, 5, &mut hint);
            insert(&written, 25, &mut hint);
        };
        together(swapped, write, move || made.set_directory(0));
        for key in [0, 5, 10, 20, 25] {
            assert_eq!(list.find(&[key], 1).expect("it is there").value, [key; 2], "not in the directory");
            // Seen through the links, which the checker knows.
            assert!(list.find(&[key], 2).is_none());
        }
        assert!(list.find(&[15], 1).is_none());
    });
}

#[test]
fn two_writers_in_one_gap_lose_nothing() {
    model_of_two(|swapped| {
        let mut hint = Hint::default();
        let list = begun(&mut hint);
        let (one, other) = (Arc::clone(&list), Arc::clone(&list));
        let hinted = move || {
            // With the hint of the last insertion, which the other thread may outdate.
            insert(&one, 21, &mut hint);
            insert(&one, 23, &mut hint);
        };
        together(swapped, hinted, move || insert(&other, 22, &mut Hint::default()));
        assert_eq!(walk(&list), [0, 10, 20, 21, 22, 23]);
        for key in [0, 10, 20, 21, 22, 23] {
            assert_eq!(list.find(&[key], 1).expect("it is there").value, [key; 2], "not by the upper levels");
        }
        assert_eq!(list.len(), 6);
    });
}

#[test]
fn positions_sought_together_may_be_outdated() {
    model_of_two(|swapped| {
        let list = begun(&mut Hint::default());
        let (one, other) = (Arc::clone(&list), Arc::clone(&list));
        let sought = move || {
            let (keys, mut hints) = ([21, 5, 23], <[Hint; TOGETHER]>::default());
            one.search_together(keys.iter().map(|key| (std::slice::from_ref(key), 1)), &mut hints);
            keys.iter().zip(&mut hints).for_each(|(key, hint)| insert(&one, *key, hint));
        };
        together(swapped, sought, move || insert(&other, 22, &mut Hint::default()));
        assert_eq!(walk(&list), [0, 5, 10, 20, 21, 22, 23]);
        for key in [0, 5, 10, 20, 21, 22, 23] {
            assert_eq!(list.find(&[key], 1).expect("it is there").value, [key; 2], "not by the upper levels");
        }
    });
}

#[test]
fn the_arena_gives_no_byte_twice() {
    model_of_two(|swapped| {
        let arena = Arc::new(Arena::new());
        arena.allocate(512);
        let taken = Arc::new(Mutex::new(Vec::new()));
        let take = |count: usize| {
            let (arena, taken) = (Arc::clone(&arena), Arc::clone(&taken));
            move || {
                for size in (0..count).map(|number| 496 + 8 * number) {
                    let memory = arena.allocate(size).as_ptr();
                    // SAFETY: the allocation is so long and nobody else's.
                    unsafe { memory.write_bytes(0, size) };
                    taken.lock().unwrap().push((memory.addr(), size));
                }
            }
        };
        // Three fill the first chunk; whoever comes then begins another.
        together(swapped, take(4), take(2));
        let mut taken = taken.lock().unwrap();
        taken.sort_unstable();
        assert!(taken.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "overlapping: {taken:?}");
    });
}
