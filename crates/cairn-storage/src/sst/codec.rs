//! Compression of data blocks: the codecs, their permanent numbers, and what each may expand to.
//!
//! Guarantees: I1: decompression is total: any bytes give a block of exactly the length asked for, or an
//! error. I2: nothing is allocated that the stored bytes could not have been made of ([`Codec::may_expand`]).
//!
//! Zstd is C code; it is there only in builds with the feature `zstd` (`docs/decisions/0007`).

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use crate::options::Compression;

/// How a block was compressed. The numbers are permanent, see `docs/format/registry.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    /// An LZ4 block, without a frame.
    Lz4 = 1,
    /// A Zstandard frame.
    Zstd = 2,
}

/// Why a block does not decompress.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// The bytes are not what a compressor writes.
    Damaged(String),
    /// This build has no decoder.
    #[cfg_attr(feature = "zstd", allow(dead_code))]
    Missing(&'static str),
}

impl Codec {
    /// The codec of a stored number.
    pub(crate) fn from_number(number: u8) -> Option<Codec> {
        match number {
            1 => Some(Codec::Lz4),
            2 => Some(Codec::Zstd),
            _ => None,
        }
    }

    /// Whether `stored` bytes can stand for `raw` bytes: LZ4 expands at most 255 times; a block of Zstandard
    /// has at least four bytes and at most 128 KiB (I2).
    pub(crate) fn may_expand(self, stored: usize, raw: usize) -> bool {
        match self {
            Codec::Lz4 => raw / 255 <= stored,
            Codec::Zstd => raw / (32 << 10) <= stored,
        }
    }

    /// Decompresses to exactly `raw_len` bytes (I1).
    pub(crate) fn decompress(self, body: &[u8], raw_len: usize) -> Result<Vec<u8>, DecodeError> {
        let mut raw = vec![0; raw_len];
        self.decompress_into(body, &mut raw)?;
        Ok(raw)
    }

    /// Decompresses to exactly as many bytes as `raw` has (I1).
    pub(crate) fn decompress_into(self, body: &[u8], raw: &mut [u8]) -> Result<(), DecodeError> {
        let raw_len = raw.len();
        let damaged = |what: String| Err(DecodeError::Damaged(what));
        let len = match self {
            Codec::Lz4 => match lz4_flex::block::decompress_into(body, raw) {
                Ok(len) => len,
                Err(error) => return damaged(format!("the block does not decompress: {error}")),
            },
            Codec::Zstd => zstd_codec::decompress(body, raw)?,
        };
        if len == raw_len { Ok(()) } else { damaged(format!("expected {raw_len} bytes, found {len}")) }
    }
}

impl Compression {
    /// Why this build cannot write it.
    pub(crate) fn refusal(self) -> Option<&'static str> {
        match self {
            Compression::None | Compression::Lz4 => None,
            Compression::Zstd(level) if !(1..=19).contains(&level) => {
                Some("the level of zstd compression must be from 1 to 19")
            }
            Compression::Zstd(_) => zstd_codec::REFUSAL,
        }
    }
}

/// Compresses block after block.
pub(crate) enum Compressor {
    /// Not at all.
    None,
    /// With the table that LZ4 uses again.
    Lz4(Box<CompressTable>),
    /// With the level's state.
    Zstd(zstd_codec::Encoder),
}

impl Compressor {
    /// A compressor; one that this build lacks compresses nothing.
    pub(crate) fn new(compression: Compression) -> Compressor {
        match compression {
            Compression::None => Compressor::None,
            Compression::Lz4 => Compressor::Lz4(Box::default()),
            Compression::Zstd(level) => {
                zstd_codec::Encoder::new(level).map_or(Compressor::None, Compressor::Zstd)
            }
        }
    }

    /// Compresses `raw` to `packed`; `None` where nothing is gained or the compressor gives up.
    pub(crate) fn compress(&mut self, raw: &[u8], packed: &mut Vec<u8>) -> Option<Codec> {
        match self {
            Compressor::None => None,
            Compressor::Lz4(table) => {
                packed.resize(get_maximum_output_size(raw.len()), 0);
                let len = compress_into_with_table(raw, packed, table).ok()?;
                packed.truncate(len);
                Some(Codec::Lz4)
            }
            Compressor::Zstd(encoder) => encoder.compress(raw, packed).then_some(Codec::Zstd),
        }
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Compressor::None => "None",
            Compressor::Lz4(_) => "Lz4",
            Compressor::Zstd(_) => "Zstd",
        })
    }
}

#[cfg(feature = "zstd")]
mod zstd_codec {
    //! The C library.
    use std::cell::RefCell;

    use zstd::bulk;

    use super::DecodeError;

    pub(super) const REFUSAL: Option<&str> = None;

    thread_local! {
        /// Making one takes longer than a block.
        static DECODER: RefCell<Option<bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }

    pub(super) fn decompress(body: &[u8], raw: &mut [u8]) -> Result<usize, DecodeError> {
        DECODER.with_borrow_mut(|decoder| {
            let failed =
                |error| DecodeError::Damaged(format!("the block does not decompress: zstd: {error}"));
            if decoder.is_none() {
                *decoder = Some(bulk::Decompressor::new().map_err(failed)?);
            }
            match decoder {
                Some(decoder) => decoder.decompress_to_buffer(body, raw).map_err(failed),
                None => Ok(0),
            }
        })
    }

    pub(crate) struct Encoder(bulk::Compressor<'static>);

    impl Encoder {
        pub(super) fn new(level: i32) -> Option<Encoder> {
            bulk::Compressor::new(level).ok().map(Encoder)
        }

        pub(super) fn compress(&mut self, raw: &[u8], packed: &mut Vec<u8>) -> bool {
            packed.clear();
            packed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
            self.0.compress_to_buffer(raw, packed).is_ok()
        }
    }
}

#[cfg(not(feature = "zstd"))]
mod zstd_codec {
    //! In place of the C library: refuses.
    use super::DecodeError;

    const MISSING: &str = "zstd compression, which this build lacks (feature `zstd` of cairn-storage)";

    pub(super) const REFUSAL: Option<&str> =
        Some("this build has no zstd compression (feature `zstd` of cairn-storage)");

    pub(super) fn decompress(_body: &[u8], _raw: &mut [u8]) -> Result<usize, DecodeError> {
        Err(DecodeError::Missing(MISSING))
    }

    pub(crate) enum Encoder {}

    impl Encoder {
        pub(super) fn new(_level: i32) -> Option<Encoder> {
            None
        }

        pub(super) fn compress(&mut self, _raw: &[u8], _packed: &mut Vec<u8>) -> bool {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trips_and_refusals() {
        let text: Vec<u8> = b"one block of rows, ".iter().copied().cycle().take(20_000).collect();
        for compression in [Compression::Lz4, Compression::Zstd(1), Compression::Zstd(19)] {
            let mut compressor = Compressor::new(compression);
            let mut packed = Vec::new();
            if compression.refusal().is_some() {
                assert_eq!(compressor.compress(&text, &mut packed), None);
                let missing = Codec::Zstd.decompress(b"", 1).unwrap_err();
                assert!(matches!(missing, DecodeError::Missing(_)));
                continue;
            }
            for _ in 0..2 {
                let codec = compressor.compress(&text, &mut packed).unwrap();
                assert!(packed.len() < text.len() / 20 && codec.may_expand(packed.len(), text.len()));
                assert_eq!(codec.decompress(&packed, text.len()).unwrap(), text);
                for wrong in [0, 100, text.len() - 1, text.len() + 1] {
                    assert!(matches!(codec.decompress(&packed, wrong), Err(DecodeError::Damaged(_))));
                }
                for len in 0..packed.len() {
                    let cut = codec.decompress(&packed[..len], text.len());
                    assert!(matches!(cut, Err(DecodeError::Damaged(_))));
                }
            }
        }
        assert!(Compression::Zstd(0).refusal().is_some() && Compression::Zstd(20).refusal().is_some());
    }

    #[test]
    fn zeros_shrink_no_more_than_is_allowed_for() {
        let zeros = vec![0; 8 << 20];
        for compression in [Compression::Lz4, Compression::Zstd(19)] {
            let mut packed = Vec::new();
            if let Some(codec) = Compressor::new(compression).compress(&zeros, &mut packed) {
                assert!(codec.may_expand(packed.len(), zeros.len()), "{} bytes", packed.len());
            }
        }
    }
}
