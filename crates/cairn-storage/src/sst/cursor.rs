//! The cursor over the rows of one SST.
//!
//! Guarantees: values are slices of the block, never copied; the key is kept in a buffer that holds
//! the block's common prefix, so that a step copies only the rest of the key.

use std::sync::Arc;

use bytes::Bytes;

use super::block::Block;
use super::reader::{Leaf, Stream, Table};
use crate::error::Result;
use crate::key::{CommitSeq, Cursor, Kind, Run, SEQ_LAST};

/// A scan that went through so many blocks in a row reads ahead.
const READAHEAD_AFTER: u32 = 4;

/// A cursor over one file.
#[derive(Debug)]
pub(crate) struct TableCursor {
    table: Arc<Table>,
    /// Reads beside the cache where set.
    stream: Option<Stream>,
    /// Reads ahead, once a scan went from block to block for a while.
    ahead: Option<Stream>,
    in_a_row: u32,
    partition: usize,
    leaf: Option<Arc<Leaf>>,
    at: usize,
    block: Option<Block>,
    row: usize,
    key: Vec<u8>,
    common: usize,
}

impl TableCursor {
    /// A cursor that reads through the block cache.
    pub(crate) fn new(table: Arc<Table>) -> TableCursor {
        TableCursor {
            table,
            stream: None,
            ahead: None,
            in_a_row: 0,
            partition: 0,
            leaf: None,
            at: 0,
            block: None,
            row: 0,
            key: Vec::new(),
            common: 0,
        }
    }

    /// A cursor that leaves the block cache alone and reads ahead: for compaction.
    pub(crate) fn streaming(table: Arc<Table>, window_bytes: usize) -> TableCursor {
        TableCursor { stream: Some(Stream::new(window_bytes)), ..TableCursor::new(table) }
    }

    fn set_leaf(&mut self, partition: usize) -> Result<()> {
        if self.leaf.is_none() || self.partition != partition {
            self.leaf = None;
            self.leaf = Some(match self.stream {
                Some(_) => self.table.read_leaf(partition)?,
                None => self.table.leaf(partition)?,
            });
            self.partition = partition;
            self.block = None;
        }
        Ok(())
    }

    fn leaf_len(&self) -> usize {
        self.leaf.as_ref().map_or(0, |leaf| leaf.index().len())
    }

    /// Loads data block `at` of the leaf.
    fn set_block(&mut self, at: usize) -> Result<()> {
        let Some(leaf) = &self.leaf else { return Ok(()) };
        if self.block.is_some() && self.at == at {
            return Ok(());
        }
        self.block = None;
        let block = match &mut self.stream {
            Some(stream) => self.table.stream_block(leaf, at, stream)?,
            None => match &mut self.ahead {
                Some(ahead) => self.table.block_ahead(leaf, at, ahead)?,
                None => self.table.block(leaf, at)?,
            },
        };
        self.at = at;
        self.common = block.common().len();
        self.key.clear();
        self.key.extend_from_slice(block.common());
        self.block = Some(block);
        Ok(())
    }

    fn set_row(&mut self, row: usize) {
        if let Some(block) = &self.block {
            self.row = row;
            self.key.truncate(self.common);
            self.key.extend_from_slice(block.rest(row));
        }
    }

    fn end(&mut self) {
        self.block = None;
        self.leaf = None;
    }

    /// Moves to the first row of the next block, or to nowhere behind the last one.
    #[cold]
    fn next_block(&mut self) -> Result<()> {
        self.in_a_row += 1;
        if self.in_a_row == READAHEAD_AFTER {
            self.ahead = self.table.readahead();
        }
        if self.at + 1 < self.leaf_len() {
            self.set_block(self.at + 1)?;
        } else if self.partition + 1 < self.table.top().len() {
            self.set_leaf(self.partition + 1)?;
            self.set_block(0)?;
        } else {
            self.end();
        }
        self.set_row(0);
        Ok(())
    }

    /// Moves to the last row of the block before, or to nowhere before the first one.
    #[cold]
    fn prev_block(&mut self) -> Result<()> {
        if self.at > 0 {
            self.set_block(self.at - 1)?;
        } else if self.partition > 0 {
            self.set_leaf(self.partition - 1)?;
            self.set_block(self.leaf_len() - 1)?;
        } else {
            self.end();
        }
        if let Some(block) = &self.block {
            let last = block.len() - 1;
            self.set_row(last);
        }
        Ok(())
    }

    fn place(&mut self, key: &[u8], seq: CommitSeq) -> Result<()> {
        let partition = self.table.top().lower_bound(key);
        if partition == self.table.top().len() {
            self.end();
            return Ok(());
        }
        self.set_leaf(partition)?;
        let at = match &self.leaf {
            Some(leaf) => leaf.index().lower_bound(key).min(leaf.index().len() - 1),
            None => 0,
        };
        self.set_block(at)?;
        self.row = self.block.as_ref().map_or(0, |block| block.lower_bound(key, seq));
        Ok(())
    }

    fn seek_inner(&mut self, key: &[u8], seq: CommitSeq) -> Result<()> {
        self.place(key, seq)?;
        // Versions of one key may go on over several blocks.
        while let Some(block) = &self.block {
            if self.row < block.len() {
                self.set_row(self.row);
                return Ok(());
            }
            self.next_block()?;
            self.row = self.block.as_ref().map_or(0, |block| block.lower_bound(key, seq));
        }
        Ok(())
    }

    fn seek_last_inner(&mut self, key: Option<&[u8]>) -> Result<()> {
        let partitions = self.table.top().len();
        match key {
            Some(key) => {
                self.place(key, SEQ_LAST)?;
                if self.block.is_some() {
                    return if self.row > 0 {
                        self.set_row(self.row - 1);
                        Ok(())
                    } else {
                        self.prev_block()
                    };
                }
            }
            None => self.end(),
        }
        if partitions == 0 {
            return Ok(());
        }
        self.set_leaf(partitions - 1)?;
        self.set_block(self.leaf_len() - 1)?;
        if let Some(block) = &self.block {
            let last = block.len() - 1;
            self.set_row(last);
        }
        Ok(())
    }

    fn block_here(&self) -> &Block {
        self.block.as_ref().expect("I: the accessors of a cursor are called only where it is valid")
    }
}

impl Cursor for TableCursor {
    fn seek(&mut self, key: &[u8], seq: CommitSeq) -> Result<()> {
        self.in_a_row = 0;
        self.ahead = None;
        self.seek_inner(key, seq).inspect_err(|_| self.end())
    }

    fn seek_last_before(&mut self, key: Option<&[u8]>) -> Result<()> {
        self.in_a_row = 0;
        self.ahead = None;
        self.seek_last_inner(key).inspect_err(|_| self.end())
    }

    #[inline]
    fn next(&mut self) -> Result<()> {
        if self.row + 1 < self.block_here().len() {
            self.set_row(self.row + 1);
            return Ok(());
        }
        self.next_block().inspect_err(|_| self.end())
    }

    #[inline]
    fn prev(&mut self) -> Result<()> {
        if self.row > 0 {
            self.set_row(self.row - 1);
            return Ok(());
        }
        self.prev_block().inspect_err(|_| self.end())
    }

    #[inline]
    fn valid(&self) -> bool {
        self.block.is_some()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        &self.key
    }

    #[inline]
    fn seq(&self) -> CommitSeq {
        self.block_here().seq(self.row)
    }

    #[inline]
    fn kind(&self) -> Kind {
        self.block_here().kind(self.row)
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.block_here().value(self.row)
    }

    fn value_bytes(&self) -> Bytes {
        self.block_here().value_bytes(self.row)
    }

    fn run(&mut self) -> Option<Run<'_>> {
        Some(Run { block: self.block.as_ref()?, row: &mut self.row, key: &mut self.key })
    }
}
