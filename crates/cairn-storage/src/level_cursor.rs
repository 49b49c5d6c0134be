//! A cursor over the files of one level: sorted, not overlapping, opened when reached.
//!
//! Guarantees: at most one file of the level is open for it at a time.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;
use crate::key::{CommitSeq, Cursor, Kind, Run};
use crate::sst::cursor::TableCursor;
use crate::version::TableFile;

/// A cursor over sorted files.
#[derive(Debug)]
pub(crate) struct LevelCursor {
    files: Vec<Arc<TableFile>>,
    /// Reads beside the block cache, so many bytes at once.
    streaming: Option<usize>,
    at: usize,
    cursor: Option<TableCursor>,
}

impl LevelCursor {
    /// A cursor over files of one level in key order; `streaming` reads beside the block
    /// cache, so many bytes at once.
    pub(crate) fn new(files: Vec<Arc<TableFile>>, streaming: Option<usize>) -> LevelCursor {
        LevelCursor { files, streaming, at: 0, cursor: None }
    }

    fn open(&mut self, at: usize) -> Result<&mut TableCursor> {
        if self.cursor.is_none() || self.at != at {
            self.cursor = None;
            let table = self.files[at].table()?;
            self.cursor = Some(match self.streaming {
                Some(window_bytes) => TableCursor::streaming(table, window_bytes),
                None => TableCursor::new(table),
            });
            self.at = at;
        }
        Ok(self.cursor.as_mut().expect("I: the cursor was made above"))
    }

    /// Goes on with the next files while the cursor stands behind the end of one.
    fn settle_forward(&mut self) -> Result<()> {
        while self.cursor.as_ref().is_some_and(|cursor| !cursor.valid()) {
            if self.at + 1 == self.files.len() {
                self.cursor = None;
            } else {
                self.open(self.at + 1)?.seek(b"", CommitSeq::MAX)?;
            }
        }
        Ok(())
    }

    /// Goes on with the files before while the cursor stands before the start of one.
    fn settle_back(&mut self) -> Result<()> {
        while self.cursor.as_ref().is_some_and(|cursor| !cursor.valid()) {
            if self.at == 0 {
                self.cursor = None;
            } else {
                self.open(self.at - 1)?.seek_last_before(None)?;
            }
        }
        Ok(())
    }

    fn here(&self) -> &TableCursor {
        self.cursor.as_ref().expect("I: the accessors of a cursor are called only where it is valid")
    }

    fn here_mut(&mut self) -> &mut TableCursor {
        self.cursor.as_mut().expect("I: a cursor is moved only where it is valid")
    }
}

impl Cursor for LevelCursor {
    fn seek(&mut self, key: &[u8], seq: CommitSeq) -> Result<()> {
        let at = self.files.partition_point(|file| file.meta().ends_before(key));
        if at == self.files.len() {
            self.cursor = None;
            return Ok(());
        }
        self.open(at)?.seek(key, seq)?;
        self.settle_forward()
    }

    fn seek_last_before(&mut self, key: Option<&[u8]>) -> Result<()> {
        let behind = match key {
            Some(key) => self.files.partition_point(|file| &file.meta().properties.smallest[..] < key),
            None => self.files.len(),
        };
        if behind == 0 {
            self.cursor = None;
            return Ok(());
        }
        self.open(behind - 1)?.seek_last_before(key)?;
        self.settle_back()
    }

    #[inline]
    fn next(&mut self) -> Result<()> {
        let cursor = self.here_mut();
        cursor.next()?;
        if cursor.valid() { Ok(()) } else { self.settle_forward() }
    }

    #[inline]
    fn prev(&mut self) -> Result<()> {
        let cursor = self.here_mut();
        cursor.prev()?;
        if cursor.valid() { Ok(()) } else { self.settle_back() }
    }

    #[inline]
    fn valid(&self) -> bool {
        self.cursor.as_ref().is_some_and(TableCursor::valid)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.here().key()
    }

    #[inline]
    fn seq(&self) -> CommitSeq {
        self.here().seq()
    }

    #[inline]
    fn kind(&self) -> Kind {
        self.here().kind()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.here().value()
    }

    fn value_bytes(&self) -> Bytes {
        self.here().value_bytes()
    }

    fn run(&mut self) -> Option<Run<'_>> {
        self.here_mut().run()
    }
}
