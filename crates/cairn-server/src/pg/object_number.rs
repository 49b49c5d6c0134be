//! Numbers of objects in the binary format: four bytes in PostgreSQL, BIGINT here.

use cairndb::Value;

/// The largest number of elements that a list may claim before it has shown them.
const ROOM_MAX: usize = 1024;

/// The types and those of lists of them: `regproc`, `oid`, `xid`, `cid`, `regprocedure`, `regoper`, `regoperator`,
/// `regclass`, `regtype`, `regconfig`, `regdictionary`, `regnamespace`, `regrole`, `regcollation`.
const TYPES: [(u32, u32); 14] = [
    (24, 1008),
    (26, 1028),
    (28, 1011),
    (29, 1012),
    (2202, 2207),
    (2203, 2208),
    (2204, 2209),
    (2205, 2210),
    (2206, 2211),
    (3734, 3735),
    (3769, 3770),
    (4089, 4090),
    (4096, 4097),
    (4191, 4192),
];

fn is_one(oid: u32) -> bool {
    TYPES.iter().any(|(one, _)| *one == oid)
}

/// The type of a list's elements; 0 where it is no list of these.
fn element(oid: u32) -> u32 {
    TYPES.iter().find(|(_, list)| *list == oid).map_or(0, |(one, _)| *one)
}

/// Whether a result's column is told as numbers of objects, or as lists of them.
pub(super) fn is_told(oid: u32) -> bool {
    matches!(oid, 26 | 1028)
}

/// Whether a type is one of these, or of lists of one.
pub(super) fn is_of(oid: u32) -> bool {
    is_one(oid) || element(oid) != 0
}

/// Takes a number from the front.
fn number(bytes: &mut &[u8]) -> Option<u32> {
    let (head, tail) = bytes.split_first_chunk::<4>()?;
    *bytes = tail;
    Some(u32::from_be_bytes(*head))
}

/// The value of bytes of such a type; `None` where they are not of its form.
pub(super) fn read(mut bytes: &[u8], oid: u32) -> Option<Value> {
    let bytes = &mut bytes;
    if is_one(oid) {
        let one = number(bytes)?;
        return bytes.is_empty().then_some(Value::BigInt(i64::from(one)));
    }
    let (dimensions, _nulls, element) = (number(bytes)?, number(bytes)?, number(bytes)?);
    if !is_one(element) || dimensions > 1 {
        return None;
    }
    let mut items = Vec::new();
    if dimensions == 1 {
        let (count, _lower) = (number(bytes)?, number(bytes)?);
        items.reserve((count as usize).min(ROOM_MAX));
        for _ in 0..count {
            items.push(match number(bytes)? {
                u32::MAX => Value::Null,
                4 => Value::BigInt(i64::from(number(bytes)?)),
                _ => return None,
            });
        }
    }
    bytes.is_empty().then_some(Value::Array(items))
}

/// Appends a number, or a list of one dimension, in the form of such a type; `None` where the value has none.
pub(super) fn write(value: &Value, oid: u32, out: &mut Vec<u8>) -> Option<()> {
    let items = match value {
        Value::Array(items) => items,
        one => {
            out.extend_from_slice(&u32::try_from(one.as_i64()?).ok()?.to_be_bytes());
            return Some(());
        }
    };
    let nulls = u32::from(items.iter().any(Value::is_null));
    for part in [u32::from(!items.is_empty()), nulls, element(oid)] {
        out.extend_from_slice(&part.to_be_bytes());
    }
    if !items.is_empty() {
        out.extend_from_slice(&u32::try_from(items.len()).ok()?.to_be_bytes());
        out.extend_from_slice(&1u32.to_be_bytes());
    }
    for item in items {
        if item.is_null() {
            out.extend_from_slice(&u32::MAX.to_be_bytes());
        } else {
            out.extend_from_slice(&4u32.to_be_bytes());
            out.extend_from_slice(&u32::try_from(item.as_i64()?).ok()?.to_be_bytes());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: u32 = 26;
    const OIDS: u32 = 1028;

    fn written(value: &Value, oid: u32) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(write(value, oid, &mut out), Some(()));
        out
    }

    #[test]
    fn numbers_come_back() {
        let list = |items: &[Value]| Value::Array(items.to_vec());
        let largest = Value::BigInt(i64::from(u32::MAX));
        assert_eq!(written(&Value::BigInt(1259), OID), [0, 0, 4, 235]);
        for value in [Value::BigInt(0), largest.clone()] {
            assert_eq!(read(&written(&value, OID), OID), Some(value));
        }
        for value in [list(&[]), list(&[Value::BigInt(1), Value::Null, largest])] {
            assert_eq!(read(&written(&value, OIDS), OIDS), Some(value));
        }
    }

    #[test]
    fn what_has_no_form_is_refused() {
        for number in [-1, 1 << 32] {
            assert_eq!(write(&Value::BigInt(number), OID, &mut Vec::new()), None);
        }
        let whole = written(&Value::Array(vec![Value::BigInt(7), Value::BigInt(8)]), OIDS);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length], OIDS), None, "cut off at {length}");
        }
        assert_eq!(read(&[whole.as_slice(), &[0]].concat(), OIDS), None);
        // More elements than there are.
        let mut lying = whole;
        lying[12..16].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(read(&lying, OIDS), None);
        assert_eq!(read(&[0; 5], OID), None);
    }
}
