//! The tombstone block: ranges of keys that commits deleted.
//!
//! Guarantees: decoding is total; every tombstone decoded has a start before its end.

use crate::fields::{BadField, Fields, put_string};
use crate::key::{RangeTombstone, SEQ_LAST};

/// The body of a tombstone block.
pub(crate) fn encode(tombstones: &[RangeTombstone]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&(tombstones.len() as u32).to_le_bytes());
    for tombstone in tombstones {
        out.extend_from_slice(&tombstone.seq.to_le_bytes());
        put_string(&mut out, &tombstone.start);
        put_string(&mut out, &tombstone.end);
    }
    out
}

/// Reads the body of a tombstone block.
pub(crate) fn decode(body: &[u8]) -> Result<Vec<RangeTombstone>, BadField> {
    let mut fields = Fields::new(body);
    let count = fields.u32("number of tombstones")?;
    let mut tombstones = Vec::new();
    for _ in 0..count {
        let seq = fields.u64("tombstone sequence")?;
        let (start, end) = (fields.string("tombstone start")?, fields.string("tombstone end")?);
        if start >= end || seq > SEQ_LAST {
            return Err(BadField("a range tombstone is empty or has an impossible sequence".into()));
        }
        tombstones.push(RangeTombstone { start, end, seq });
    }
    fields.end()?;
    Ok(tombstones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn round_trip_and_refusals() {
        let one = RangeTombstone { start: Bytes::from_static(b"a"), end: Bytes::from_static(b"b"), seq: 7 };
        let body = encode(std::slice::from_ref(&one));
        assert_eq!(decode(&body), Ok(vec![one]));
        for len in 0..body.len() {
            assert!(decode(&body[..len]).is_err());
        }
    }
}
