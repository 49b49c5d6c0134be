//! INET and CIDR: an address and how many of its bits are the network's.
//!
//! Code: 2 or 6 for the family, the network's bits ([`super::put_bits`]), the address. So networks come before their
//! parts and addresses, as PostgreSQL orders them.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{get_bits, put_bits};
use crate::error::TypeError;

const V4: u8 = 2;
const V6: u8 = 6;

/// An address with its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Four or sixteen bytes.
    bytes: Vec<u8>,
    /// How many bits are the network's.
    bits: u8,
}

impl Network {
    /// An address of four or sixteen bytes; `None` for other lengths or more bits than it has.
    #[must_use]
    pub fn new(bytes: Vec<u8>, bits: u8) -> Option<Self> {
        let fits = matches!(bytes.len(), 4 | 16) && usize::from(bits) <= bytes.len() * 8;
        fits.then_some(Self { bytes, bits })
    }

    /// Reads an address, or with `cidr` a network whose address may be cut short.
    ///
    /// # Errors
    /// 22P02.
    pub fn parse(text: &str, cidr: bool) -> Result<Self, TypeError> {
        let type_name = if cidr { "cidr" } else { "inet" };
        let invalid = || TypeError::InvalidText { type_name: type_name.to_owned(), input: text.to_owned() };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => {
                let digits = !bits.is_empty() && bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit());
                (address, Some(bits.parse::<u8>().ok().filter(|_| digits).ok_or_else(invalid)?))
            }
            None => (text, None),
        };
        let (bytes, given) = if address.contains(':') {
            let address: Ipv6Addr = address.parse().map_err(|_| invalid())?;
            (address.octets().to_vec(), 128)
        } else {
            parse_v4(address, cidr).ok_or_else(invalid)?
        };
        if !cidr && bytes.len() == 4 && given < 32 && bits.is_none() {
            return Err(invalid());
        }
        let network = Self::new(bytes, bits.unwrap_or(given)).ok_or_else(invalid)?;
        if cidr && network.network().bytes != network.bytes {
            return Err(TypeError::Invalid {
                sqlstate: "22P02",
                message: format!("invalid cidr value: \"{text}\""),
                detail: Some("Value has bits set to right of mask.".to_owned()),
            });
        }
        Ok(network)
    }

    /// 4 or 6.
    #[must_use]
    pub fn family(&self) -> i32 {
        if self.bytes.len() == 4 { 4 } else { 6 }
    }

    /// The address.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bits are the network's.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// How many bits there are.
    #[must_use]
    pub fn bits_max(&self) -> u8 {
        (self.bytes.len() * 8) as u8
    }

    /// Each byte with which of its bits are the network's.
    fn masked(&self, change: impl Fn(u8, u8) -> u8) -> Vec<u8> {
        let each = self.bytes.iter().enumerate().map(|(at, byte)| {
            let own = usize::from(self.bits).saturating_sub(at * 8).min(8);
            change(*byte, if own == 0 { 0 } else { 0xFF << (8 - own) })
        });
        each.collect()
    }

    /// The network: the address with zeros behind it.
    #[must_use]
    pub fn network(&self) -> Self {
        Self { bytes: self.masked(|byte, mask| byte & mask), bits: self.bits }
    }

    /// The last address of the network.
    #[must_use]
    pub fn broadcast(&self) -> Self {
        Self { bytes: self.masked(|byte, mask| byte | !mask), bits: self.bits }
    }

    /// The mask of the network.
    #[must_use]
    pub fn netmask(&self) -> Self {
        Self { bytes: self.masked(|_, mask| mask), bits: self.bits_max() }
    }

    /// The mask of the rest.
    #[must_use]
    pub fn hostmask(&self) -> Self {
        Self { bytes: self.masked(|_, mask| !mask), bits: self.bits_max() }
    }

    /// Whether the other's network lies within this one or is it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.bytes.len() == other.bytes.len()
            && self.bits <= other.bits
            && Self { bits: self.bits, bytes: other.bytes.clone() }.network().bytes == self.network().bytes
    }

    /// The smallest network that holds both; `None` for addresses of two families.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Option<Self> {
        if self.bytes.len() != other.bytes.len() {
            return None;
        }
        let bits = (0..=self.bits.min(other.bits)).rev();
        let with = |bits, bytes: &[u8]| Self { bytes: bytes.to_vec(), bits }.network();
        bits.map(|bits| (with(bits, &self.bytes), with(bits, &other.bytes)))
            .find(|(a, b)| a == b)
            .map(|(common, _)| common)
    }

    /// The address as a number.
    #[must_use]
    pub fn number(&self) -> u128 {
        self.bytes.iter().fold(0, |n, byte| n << 8 | u128::from(*byte))
    }

    /// The same network with another address; `None` beyond the family's last.
    #[must_use]
    pub fn with_number(&self, number: u128) -> Option<Self> {
        let bytes = number.to_be_bytes();
        let (zeros, own) = bytes.split_at(16 - self.bytes.len());
        zeros.iter().all(|byte| *byte == 0).then(|| Self { bytes: own.to_vec(), bits: self.bits })
    }

    /// The code.
    #[must_use]
    pub fn to_code(&self) -> Vec<u8> {
        let mut code = vec![if self.bytes.len() == 4 { V4 } else { V6 }];
        put_bits(&self.network().bytes, usize::from(self.bits), &mut code);
        code.extend_from_slice(&self.bytes);
        code
    }

    /// The address of a code.
    #[must_use]
    pub fn from_code(code: &[u8]) -> Option<Self> {
        let (family, rest) = code.split_first()?;
        let length = match *family {
            V4 => 4,
            V6 => 16,
            _ => return None,
        };
        let (prefix, bytes) = rest.split_at_checked(rest.len().checked_sub(length)?)?;
        let (_, bits) = get_bits(prefix)?;
        Self::new(bytes.to_vec(), u8::try_from(bits).ok()?)
    }

    /// Appends the address alone.
    pub fn write_address(&self, out: &mut String) {
        if let Ok(bytes) = <[u8; 4]>::try_from(self.bytes.as_slice()) {
            let _ = write!(out, "{}", Ipv4Addr::from(bytes));
        } else if let Ok(bytes) = <[u8; 16]>::try_from(self.bytes.as_slice()) {
            let _ = write!(out, "{}", Ipv6Addr::from(bytes));
        }
    }

    /// Appends the text; `whole` shows the bits also where they are all.
    pub fn write(&self, whole: bool, out: &mut String) {
        self.write_address(out);
        if whole || self.bits < self.bits_max() {
            let _ = write!(out, "/{}", self.bits);
        }
    }
}

/// Four numbers, for a network also fewer, and how many bits a network of them has.
fn parse_v4(text: &str, cidr: bool) -> Option<(Vec<u8>, u8)> {
    let mut bytes = Vec::with_capacity(4);
    for part in text.split('.') {
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        bytes.push(part.parse::<u8>().ok()?);
    }
    let count = bytes.len();
    if count > 4 {
        return None;
    }
    bytes.resize(4, 0);
    if !cidr || count == 4 {
        return Some((bytes, (count * 8) as u8));
    }
    // What is cut short is of the class that its first number says, or as long as it is.
    let class = match bytes[0] {
        240.. => 32,
        224.. => 8,
        192.. => 24,
        128.. => 16,
        _ => 8,
    };
    Some((bytes, class.max(count as u8 * 8)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn order_is_postgresqls() {
        let sorted = [
            "0.0.0.0/0",
            "10.0.0.0/7",
            "10.0.0.0/8",
            "10.0.0.1/8",
            "10.0.0.0/9",
            "10.0.0.0",
            "10.0.0.1",
            "10.1.2.3/16",
            "11.0.0.0/8",
            "::/0",
            "::1",
            "2001:db8::/32",
        ];
        let codes: Vec<_> =
            sorted.iter().map(|text| Network::parse(text, false).unwrap().to_code()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        for (code, text) in codes.iter().zip(sorted) {
            let mut out = String::new();
            Network::from_code(code).unwrap().write(false, &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn networks_cut_short() {
        let text = |text: &str| {
            let mut out = String::new();
            Network::parse(text, true).unwrap().write(true, &mut out);
            out
        };
        assert_eq!(text("10"), "10.0.0.0/8");
        assert_eq!(text("192.168"), "192.168.0.0/24");
        assert_eq!(text("10.1.2"), "10.1.2.0/24");
        assert!(Network::parse("10.0.0.1/8", true).is_err());
        assert!(Network::parse("10.0", false).is_err());
    }
}
