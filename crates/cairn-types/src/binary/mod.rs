//! PostgreSQL's binary form of every type: what its wire protocol and COPY BINARY carry.
//!
//! I1. `parse_binary(write_binary(v)) = v` for every value of every type.
//! I2. Reading is total: whatever the bytes, the answer is a value or an error.

mod numeric;
mod read;
mod write;

/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// The version that stands before a JSONB.
const JSONB_VERSION: u8 = 1;
/// The family of an IPv4 address; that of IPv6 is the next.
const FAMILY_V4: u8 = 2;
/// Depth to which arrays and composites stand within each other, at most.
const DEPTH_MAX: usize = 64;

/// What a range's first byte says.
mod range_flags {
    pub(super) const EMPTY: u8 = 0x01;
    pub(super) const LOWER_INCLUDED: u8 = 0x02;
    pub(super) const UPPER_INCLUDED: u8 = 0x04;
    pub(super) const LOWER_UNBOUNDED: u8 = 0x08;
    pub(super) const UPPER_UNBOUNDED: u8 = 0x10;
}

#[cfg(test)]
mod tests;
