//! CairnDB's storage engine alone, below tables and transactions over them.

use std::path::Path;

use anyhow::{Result, ensure};
use cairn_env::Env;
use cairn_storage::{Direction, KeyRange, Options, Store, TxnOptions};

use crate::CACHE_BYTES;
use crate::kv::{Engine, Key, Put, Value};

pub struct CairnStorage(Store);

impl CairnStorage {
    pub fn open(directory: &Path) -> Result<Self> {
        let mut options = Options::default();
        options.cache_bytes = Some(CACHE_BYTES);
        Ok(Self(Store::open(&Env::os(), &directory.join("store"), options)?))
    }
}

impl Engine for CairnStorage {
    fn write(&self, rows: &mut dyn Iterator<Item = (Key, Value)>) -> Result<()> {
        let mut transaction = self.0.begin(TxnOptions::default());
        for (key, value) in rows {
            transaction.put(&key, &value)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn get(&self, keys: &[Key]) -> Result<usize> {
        let snapshot = self.0.snapshot();
        let mut found = 0;
        for key in keys {
            if let Some(value) = snapshot.get(key)? {
                ensure!(value.len() == 100, "wrong value");
                found += 1;
            }
        }
        Ok(found)
    }

    fn range(&self, starts: &[Key], limit: usize) -> Result<usize> {
        let snapshot = self.0.snapshot();
        let mut read = 0;
        for start in starts {
            let range =
                KeyRange::new(std::ops::Bound::Included(start.to_vec().into()), std::ops::Bound::Unbounded);
            let mut scan = snapshot.scan(range, Direction::Forward);
            for _ in 0..limit {
                let Some((_, value)) = scan.next()? else { break };
                read += usize::from(value.len() == 100);
            }
        }
        Ok(read)
    }

    fn writer(&self) -> Result<Put<'_>> {
        Ok(Box::new(|key, value| {
            let mut transaction = self.0.begin(TxnOptions::default());
            transaction.put(key, value)?;
            transaction.commit()?;
            Ok(())
        }))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}
