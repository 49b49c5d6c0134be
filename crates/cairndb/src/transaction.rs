//! A transaction over keys and, with SQL, tables.

use std::time::Duration;

use bytes::Bytes;
use cairn_storage::{CancelHandle, CommitSeq, Direction, KeyLock, LockOwner, SyncMode, Wait};

use crate::{Database, IntoKeyRange, KeyValues, Result, kernel};

/// A transaction: it reads from one snapshot (under Read Committed: from one for each call), sees its own writes, and takes
/// effect as a whole with [`commit`](Transaction::commit) or not at all. Dropping it rolls it back.
///
/// Methods take `&self`, so that it can be lent to several places; it is `Send` and `Sync`. With SQL, the
/// key-value calls and `query`/`execute` share it.
///
/// ```
/// use cairndb::{Database, IsolationLevel};
/// let db = Database::in_memory()?;
/// let tx = db.begin_transaction(IsolationLevel::Serializable)?;
/// tx.put(b"key", b"value")?;
/// tx.commit()?; // or tx.rollback()?
/// assert_eq!(db.get(b"key")?.as_deref(), Some(&b"value"[..]));
/// # Ok::<(), cairndb::Error>(())
/// ```
pub struct Transaction {
    pub(crate) kernel: kernel::Transaction,
    #[cfg_attr(not(feature = "sql"), allow(dead_code))]
    pub(crate) db: Database,
    /// The SQL session over the same transaction, made when it is first needed.
    #[cfg(feature = "sql")]
    pub(crate) session: std::sync::Mutex<Option<cairn_sql::Session>>,
}

/// A place in a transaction to go back to, from [`Transaction::savepoint`].
///
/// ```
/// use cairndb::{Database, IsolationLevel};
/// let tx = Database::in_memory()?.begin_transaction(IsolationLevel::Snapshot)?;
/// tx.put(b"kept", b"1")?;
/// let savepoint = tx.savepoint()?;
/// tx.put(b"undone", b"2")?;
/// tx.rollback_to(&savepoint)?;
/// assert!(tx.get(b"kept")?.is_some() && tx.get(b"undone")?.is_none());
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Savepoint(kernel::Savepoint);

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

impl Transaction {
    pub(crate) fn new(db: Database, kernel: kernel::Transaction) -> Transaction {
        Transaction {
            kernel,
            db,
            #[cfg(feature = "sql")]
            session: std::sync::Mutex::new(None),
        }
    }

    /// The value of a key, own writes included.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged, or the transaction has ended.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.kernel.get(key.as_ref())
    }

    /// Sets the value of a key. Nothing is written to disk before the commit.
    ///
    /// # Errors
    /// Class `User` when key (64 KiB), value (1 GiB) or transaction (2 GiB) are over their limit. At the levels that wait
    /// ([`IsolationLevel::ReadCommitted`](crate::IsolationLevel::ReadCommitted) and `RepeatableRead`): class `Conflict`
    /// for a deadlock (`40P01`) and, under Repeatable Read, for a key that another transaction has changed; SQLSTATE
    /// `55P03` when the lock timeout has passed, `57014` when the wait was cancelled.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.kernel.put(key.as_ref(), value.as_ref())
    }

    /// Removes a key; nothing happens when it is not there.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<()> {
        self.kernel.delete(key.as_ref())
    }

    /// Removes all keys of a range, at a cost that does not depend on their number. At the levels that wait it locks the
    /// range, keys that are not there too: it waits for whoever has written or locked one, and whoever wants to waits for
    /// this transaction. Under Repeatable Read a range that has changed since the snapshot is a conflict. At the optimistic
    /// levels it is one at commit.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete_range(&self, range: impl IntoKeyRange) -> Result<()> {
        self.kernel.delete_range(&range.into_key_range())
    }

    /// The entries of a range in ascending order, own writes up to now included, later ones not.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged, or the transaction has ended.
    pub fn get_range(&self, range: impl IntoKeyRange) -> Result<KeyValues> {
        Ok(KeyValues::new(self.kernel.scan(range.into_key_range(), Direction::Forward)?))
    }

    /// The entries of a range in descending order.
    ///
    /// # Errors
    /// As [`Transaction::get_range`].
    pub fn get_range_reverse(&self, range: impl IntoKeyRange) -> Result<KeyValues> {
        Ok(KeyValues::new(self.kernel.scan(range.into_key_range(), Direction::Reverse)?))
    }

    /// A place to go back to. Costs next to nothing and needs no release.
    ///
    /// # Errors
    /// When the transaction has ended.
    pub fn savepoint(&self) -> Result<Savepoint> {
        Ok(Savepoint(self.kernel.savepoint()?))
    }

    /// Locks a key for writing until the transaction ends, waiting for whoever has it, and gives its value: at any
    /// isolation level nobody changes it before this transaction ends.
    ///
    /// ```
    /// use cairndb::{Database, IsolationLevel};
    /// let db = Database::in_memory()?;
    /// let tx = db.begin_transaction(IsolationLevel::ReadCommitted)?;
    /// let count = tx.get_for_update("count")?.map_or(0, |bytes| bytes[0]);
    /// tx.put("count", [count + 1])?;
    /// tx.commit()?;
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Transaction::put`] that have to do with locks; class `Conflict` when the key has changed since the
    /// snapshot (not under Read Committed); `53200` when locks take all the memory that they may.
    pub fn get_for_update(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.kernel.lock_key(key.as_ref(), KeyLock::Update, Wait::Block)?;
        self.kernel.get(key.as_ref())
    }

    /// Locks a key until the transaction ends or goes back to an earlier savepoint; false when it is taken and `wait` is
    /// [`Wait::SkipLocked`]. Readers are not concerned.
    ///
    /// # Errors
    /// As [`Transaction::get_for_update`]; `55P03` with [`Wait::NoWait`].
    pub fn lock_key(&self, key: impl AsRef<[u8]>, mode: KeyLock, wait: Wait) -> Result<bool> {
        self.kernel.lock_key(key.as_ref(), mode, wait)
    }

    /// How long this transaction waits for a lock; `None`, the default, is for ever. Deadlocks are found at once.
    ///
    /// # Errors
    /// When the transaction has ended.
    pub fn set_lock_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.kernel.set_lock_timeout(timeout)
    }

    /// What ends this transaction's waits from another thread (`57014`). Get it before: a transaction that waits
    /// answers no calls.
    ///
    /// # Errors
    /// When the transaction has ended.
    pub fn cancel_handle(&self) -> Result<CancelHandle> {
        self.kernel.cancel_handle()
    }

    /// The number of this transaction in [`Database::key_locks`].
    ///
    /// # Errors
    /// When the transaction has ended.
    pub fn lock_owner(&self) -> Result<LockOwner> {
        self.kernel.lock_owner()
    }

    /// Undoes everything since the savepoint: keys, rows and definitions; locks taken since are given back. The savepoint
    /// stays usable, later ones are gone.
    ///
    /// # Errors
    /// When the transaction has ended or the savepoint is gone.
    pub fn rollback_to(&self, savepoint: &Savepoint) -> Result<()> {
        self.kernel.rollback_to(&savepoint.0)
    }

    /// What the commit of this transaction waits for, instead of what the database was opened with.
    ///
    /// # Errors
    /// When the transaction has ended.
    pub fn set_sync(&self, mode: SyncMode) -> Result<()> {
        self.kernel.set_sync(mode)
    }

    /// Makes the writes visible and, under [`SyncMode::Sync`], durable before it returns. Gives the number
    /// of the commit, which grows from commit to commit.
    ///
    /// # Errors
    /// Class `Conflict` when another transaction came first, or waits for this one (`40P01`, only where others hold
    /// locks): nothing is written, run it again. Class
    /// `Unavailable` on a full disk: nothing is written. After a failed fsync it is unknown whether the
    /// transaction will be there when the database is opened again.
    pub fn commit(self) -> Result<CommitSeq> {
        self.kernel.commit()
    }

    /// [`Transaction::commit`] for async callers: the task sleeps while the disk works, and commits of many tasks
    /// share an fsync. No particular runtime is needed. Dropped before it was first polled it rolls back;
    /// dropped later, the commit goes on.
    ///
    /// ```
    /// # use futures::executor::block_on;
    /// use cairndb::{Database, IsolationLevel};
    /// # block_on(async {
    /// let db = Database::in_memory()?;
    /// let tx = db.begin_transaction(IsolationLevel::Snapshot)?;
    /// tx.put(b"key", b"value")?;
    /// tx.commit_async().await?;
    /// assert!(db.get(b"key")?.is_some());
    /// # Ok::<(), cairndb::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`Transaction::commit`]; class `Conflict` with `53400` where too much is being committed
    /// ([`OpenOptions::awaited_bytes_max`](crate::OpenOptions::awaited_bytes_max)).
    #[cfg(not(feature = "sql"))]
    pub async fn commit_async(self) -> Result<()> {
        self.kernel.commit_async()?.await?;
        Ok(())
    }

    /// Throws the writes away, as dropping does.
    ///
    /// # Errors
    /// None today; the result is there so that commit and rollback can stand in one place.
    pub fn rollback(self) -> Result<()> {
        self.kernel.rollback();
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // A result that is still being read may hold the kernel's transaction; it ends here all the same.
        self.kernel.rollback();
    }
}
