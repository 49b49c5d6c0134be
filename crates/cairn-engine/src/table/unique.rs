//! Whether keys are taken: by the rows that are there, or by an earlier row of the same batch.
//!
//! I1: the answer goes by the transaction's snapshot and own writes. A key that another transaction takes meanwhile is
//! found at commit, since both write the same key. At the locking levels the keys are claimed first, which waits for
//! whoever is about to take or free one, and the answer goes by what is committed then.

use bytes::Bytes;
use cairn_storage::{Direction, KeyLock, KeyRange};

use super::codec::Keys;
use crate::error::Result;
use crate::transaction::Writer;

/// After this many keys the search decides whether to go on by scanning.
const TRIAL: usize = 16;

/// Claims keys that are about to be written, in their order.
pub(crate) fn claim(
    writer: &mut Writer<'_>,
    keys: &Keys,
    order: &[u32],
    mode: KeyLock,
    matters: impl Fn(usize) -> bool,
) -> Result<()> {
    if writer.is_locking() {
        for row in order.iter().map(|row| *row as usize).filter(|row| matters(*row)) {
            writer.claim(keys.get(row), mode)?;
        }
    }
    Ok(())
}

/// The lowest row whose key is taken. `order` lists the rows by key; rows for which `matters` is false are passed over.
///
/// Keys in order behind everything that is there (a bulk load, mostly) cost one seek in all; keys strewn among
/// others a look-up each.
pub(crate) fn first_taken(
    writer: &Writer<'_>,
    keys: &Keys,
    order: &[u32],
    matters: impl Fn(usize) -> bool,
) -> Result<Option<usize>> {
    let rows: Vec<usize> = order.iter().map(|i| *i as usize).filter(|row| matters(*row)).collect();
    let mut taken: Option<usize> = None;
    let mut note = |row: usize| taken = Some(taken.map_or(row, |before: usize| before.min(row)));
    for pair in rows.windows(2) {
        if keys.get(pair[0]) == keys.get(pair[1]) {
            note(pair[0].max(pair[1]));
        }
    }
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(None) };
    // A serializable transaction would have read the whole range: look-ups read only their keys.
    if rows.len() == 1 || writer.is_serializable() {
        for row in rows {
            if writer.txn_ref().get_latest(keys.get(row))?.is_some() {
                note(row);
            }
        }
        return Ok(taken);
    }
    let range = KeyRange::new(
        std::ops::Bound::Included(Bytes::copy_from_slice(keys.get(*first))),
        std::ops::Bound::Included(Bytes::copy_from_slice(keys.get(*last))),
    );
    let mut scan = writer.txn_ref().scan_latest(range, Direction::Forward);
    let mut current = scan.next()?.map(|(key, _)| key.to_vec());
    let mut seeks = 0;
    for (done, row) in rows.iter().enumerate() {
        let Some(found) = &mut current else { break };
        let key = keys.get(*row);
        if done > TRIAL && seeks * 2 > done {
            if writer.txn_ref().get_latest(key)?.is_some() {
                note(*row);
            }
            continue;
        }
        if found.as_slice() < key {
            seeks += 1;
            scan.seek(key)?;
            match scan.next()? {
                Some((next, _)) => {
                    found.clear();
                    found.extend_from_slice(next);
                }
                None => current = None,
            }
        }
        if current.as_deref() == Some(key) {
            note(*row);
        }
    }
    Ok(taken)
}
