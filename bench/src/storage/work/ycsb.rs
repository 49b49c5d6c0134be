//! YCSB's core workloads A, B, C, E and F: records of ten fields as one value, keys drawn from the scrambled
//! zipfian distribution, two threads, no fsync. An update writes a whole record; F reads it first.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Run, check_get, filler, in_session, write_all};
use crate::data::{self, Random, Row, Shape, Zipf};
use crate::engine::{Session, View};
use crate::meter;

/// Threads.
const THREADS: usize = 2;
/// Records of a batch of the load.
const BATCH: u64 = 200;
/// B-trees are loaded in key order: at random they take minutes, and their pages are emptier.
const ORDERED: [&str; 3] = ["redb", "lmdb", "sqlite"];
/// Longest range of E.
const RANGE: u64 = 100;

pub fn prepare(run: &mut Run<'_>) -> Result<()> {
    let (rows, shape) = (run.sizes.get("records"), run.sizes.shape("record"));
    let mut order: Vec<u64> = (0..rows).collect();
    if ORDERED.contains(&run.engine) {
        order.sort_unstable_by_key(|i| data::random_key(*i));
    }
    let mut fill = filler(data::random_key, shape);
    let engine = run.open(&run.sizes.setup(false))?;
    let began = Instant::now();
    in_session(engine.as_ref(), View::Latest, |session| {
        write_all(session, rows, BATCH, |i, row| fill(order[i as usize], row), |_| Ok(()))
    })?;
    engine.flush()?;
    let settled = meter::settle(super::load::QUIET, run.sizes.time("settle"))?;
    run.put("load", rows as f64 / (settled - began).as_secs_f64());
    Ok(())
}

/// One client.
struct Client<'a> {
    session: &'a mut dyn Session,
    random: Random,
    zipf: &'a Zipf,
    shape: Shape,
    /// The number of the next new record.
    next: u64,
}

impl Client<'_> {
    fn draw(&mut self) -> u64 {
        self.zipf.draw(&mut self.random)
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    fn read(&mut self) -> Result<()> {
        let key = data::random_key(self.draw());
        check_get(self.session, &key, self.shape)
    }

    fn put(&mut self, i: u64) -> Result<()> {
        let mut value = Vec::with_capacity(self.shape.bytes);
        self.shape.fill(i, self.random.next() >> 24, &mut value);
        self.session.write(&[Row { key: data::random_key(i), value: Some(value) }])
    }

    fn update(&mut self) -> Result<()> {
        let i = self.draw();
        self.put(i)
    }

    fn read_and_write(&mut self) -> Result<()> {
        let i = self.draw();
        let key = data::random_key(i);
        let (mut value, shape) = (Vec::with_capacity(self.shape.bytes), self.shape);
        let found = self.session.get(&key, &mut |bytes| value.extend_from_slice(bytes))?;
        ensure!(found && shape.fits(i, &value), "record {i} is missing or wrong");
        data::count_up(&mut value);
        self.session.write(&[Row { key, value: Some(value) }])
    }

    fn range(&mut self) -> Result<()> {
        let start = data::random_key(self.draw());
        let limit = 1 + self.random.below(RANGE) as usize;
        let (mut first, mut bytes) = (None, 0);
        let read = self.session.scan(&start, limit, &mut |key, value| {
            first.get_or_insert(data::number(key));
            bytes += value.len();
        })?;
        ensure!(first == Some(data::number(&start)) && bytes == read * self.shape.bytes, "a range is wrong");
        Ok(())
    }

    fn step(&mut self, workload: char) -> Result<()> {
        match workload {
            'a' if self.percent(50) => self.update(),
            'b' if self.percent(5) => self.update(),
            'f' if self.percent(50) => self.read_and_write(),
            'e' if self.percent(5) => {
                self.next += 1;
                self.put(self.next)
            }
            'e' => self.range(),
            _ => self.read(),
        }
    }
}

/// Reads everything: the records loaded are there, and right; runs before have inserted more.
fn check_records(session: &mut dyn Session, rows: u64, shape: Shape) -> Result<()> {
    let (mut loaded, mut wrong) = (0, 0);
    session.scan(&[], usize::MAX, &mut |key, value| {
        let number = data::number(key);
        loaded += u64::from(number < rows);
        wrong += u64::from(!shape.fits(number, value));
    })?;
    ensure!(loaded == rows && wrong == 0, "{loaded} of {rows} records are there, {wrong} have a wrong value");
    Ok(())
}

/// Runs workloads, a letter each, one after the other.
pub fn work(run: &mut Run<'_>, workloads: &str) -> Result<()> {
    let (rows, shape) = (run.sizes.get("records"), run.sizes.shape("record"));
    let zipf = Zipf::new(rows.max(2));
    let mut setup = run.sizes.hot_setup();
    setup.threads = THREADS;
    meter::warm_files(run.directory)?;
    let engine = run.open(&setup)?;
    let engine = engine.as_ref();
    // Every record once, so that caches are full.
    in_session(engine, View::Snapshot, |session| check_records(session, rows, shape))?;
    // Half as long again before the first: the caches are cold.
    let warm = run.sizes.time("warm");
    for (place, workload) in workloads.chars().enumerate() {
        ensure!("abcef".contains(workload), "no workload {workload}");
        let warm = if place == 0 { warm * 3 / 2 } else { warm / 2 };
        let rate = meter::rate(THREADS, warm, run.sizes.time("seconds"), &|thread, phase| {
            in_session(engine, View::Latest, |session| {
                let place = run.sizes.get("run") << 8 | thread as u64;
                let random = Random::new(place << 8 | workload as u64);
                let mut client =
                    Client { session, random, zipf: &zipf, shape, next: (1 << 48) + (place << 32) };
                let mut count = 0;
                while phase.next(&mut count) {
                    client.step(workload)?;
                }
                Ok(count)
            })
        })?;
        run.put(&workload.to_string(), rate);
    }
    Ok(())
}
