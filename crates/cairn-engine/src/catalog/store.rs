//! The catalog in table 0: reading a whole picture, writing single descriptors, and the picture of the latest commit.
//!
//! I1: [`Catalogs::at`] gives the catalog of exactly the snapshot asked for. It may use the cached one only when no
//! DDL commit is between "visible in the store" and "published here" (`publishing` = 0, read after the snapshot was
//! taken) and the cached one is not newer than the snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_storage::{CommitSeq, Direction, KeyRange, Store, Txn, WriteBatch};
use parking_lot::Mutex;

use super::format::Descriptor;
use super::{
    AccessDescriptor, Catalog, Class, PUBLIC, RoleDescriptor, RoutineDescriptor, SchemaDescriptor,
    SequenceDescriptor, TableDescriptor, TypeDescriptor, ViewDescriptor,
};
use crate::error::{Error, Result};
use crate::key_space::{self, CATALOG, PUBLIC_ID, section};
use crate::transaction::Writer;

/// The version of the keyspace's layout.
const KEYSPACE_VERSION: u32 = 1;

/// Reads one key at some snapshot.
type Get<'a> = &'a dyn Fn(&[u8]) -> Result<Option<bytes::Bytes>>;
/// Reads all values of a range at some snapshot.
type Scan<'a> = &'a dyn Fn(KeyRange, &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;

/// The catalogs of an open database.
#[derive(Debug)]
pub(crate) struct Catalogs {
    latest: Mutex<(CommitSeq, Arc<Catalog>)>,
    /// DDL commits under way (I1).
    publishing: AtomicU64,
    /// For versions of catalogs that are not committed.
    private: AtomicU64,
}

impl Catalogs {
    /// Reads the catalog of an opened store, and writes the first one into an empty store.
    pub(crate) fn open(store: &Store) -> Result<Catalogs> {
        let snapshot = store.snapshot();
        if snapshot.get(&key_space::schema_version_key())?.is_none() {
            let public = SchemaDescriptor { id: PUBLIC_ID, name: PUBLIC.to_owned(), comment: None };
            let mut batch = WriteBatch::new();
            batch
                .put(&key_space::key(CATALOG, section::META, b"keyspace"), &KEYSPACE_VERSION.to_le_bytes())?;
            batch.put(&key_space::object_key(section::SCHEMAS, PUBLIC_ID), &public.encode()?)?;
            batch.put(&key_space::schema_version_key(), &1u64.to_le_bytes())?;
            store.write(batch, None)?;
        }
        let snapshot = store.snapshot();
        let get: Get<'_> = &|key| Ok(snapshot.get(key)?);
        check_keyspace(get)?;
        let catalog = load(get, &|range, each| drain(snapshot.scan(range, Direction::Forward), each))?;
        Ok(Catalogs {
            latest: Mutex::new((snapshot.seq(), Arc::new(catalog))),
            publishing: AtomicU64::new(0),
            private: AtomicU64::new(1 << 63),
        })
    }

    /// The catalog of the latest commit.
    pub(crate) fn latest(&self) -> Arc<Catalog> {
        self.latest.lock().1.clone()
    }

    /// The catalog at the snapshot `sequence`, through which `get` and `scan` read (I1).
    fn at(&self, sequence: CommitSeq, get: Get<'_>, scan: Scan<'_>) -> Result<Arc<Catalog>> {
        let settled = self.publishing.load(Ordering::SeqCst) == 0;
        let (since, latest) = self.latest.lock().clone();
        if settled && since <= sequence {
            return Ok(latest);
        }
        if version(get)? == latest.version() {
            return Ok(latest);
        }
        Ok(Arc::new(load(get, scan)?))
    }

    /// The catalog of a transaction's snapshot, without definitions of its own.
    pub(crate) fn of_txn(&self, txn: &Txn) -> Result<Arc<Catalog>> {
        let view = || txn.read_view().without_writes();
        self.at(txn.snapshot_seq(), &|key| Ok(view().get(key)?), &|range, each| {
            drain(view().scan(range, Direction::Forward), each)
        })
    }

    /// The catalog as a transaction sees it: that of its snapshot with definitions of its own.
    pub(crate) fn with_own(&self, txn: &Txn) -> Result<Catalog> {
        let mut catalog =
            load(&|key| Ok(txn.get(key)?), &|range, each| drain(txn.scan(range, Direction::Forward), each))?;
        catalog.set_version(self.private_version());
        Ok(catalog)
    }

    /// The version of the newest committed catalog, for one that keeps others from committing one.
    pub(crate) fn newest_version(txn: &Txn) -> Result<u64> {
        version(&|key| Ok(txn.get_latest(key)?))
    }

    pub(crate) fn of_snapshot(&self, snapshot: &cairn_storage::Snapshot) -> Result<Arc<Catalog>> {
        self.at(snapshot.seq(), &|key| Ok(snapshot.get(key)?), &|range, each| {
            drain(snapshot.scan(range, Direction::Forward), each)
        })
    }

    /// Commits a transaction with DDL through `commit`, and publishes its catalog; where it is not given, as others have
    /// committed DDL beside this one, that of the commit.
    pub(crate) fn publish(
        &self,
        store: &Store,
        catalog: Option<Arc<Catalog>>,
        commit: impl FnOnce() -> Result<CommitSeq>,
    ) -> Result<CommitSeq> {
        struct Publishing<'a>(&'a AtomicU64);
        impl Drop for Publishing<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.publishing.fetch_add(1, Ordering::SeqCst);
        let publishing = Publishing(&self.publishing);
        let sequence = commit()?;
        let (since, catalog) = match catalog {
            Some(catalog) => (sequence, catalog),
            None => {
                let snapshot = store.snapshot();
                let all = load(&|key| Ok(snapshot.get(key)?), &|range, each| {
                    drain(snapshot.scan(range, Direction::Forward), each)
                });
                match all {
                    Ok(all) => (snapshot.seq(), Arc::new(all)),
                    Err(_) => {
                        // It is committed. The old picture stays, and as if a commit were under way everybody looks whether
                        // it is still right (I1).
                        std::mem::forget(publishing);
                        return Ok(sequence);
                    }
                }
            }
        };
        let mut latest = self.latest.lock();
        if latest.1.version() < catalog.version() {
            *latest = (since, catalog);
        }
        Ok(sequence)
    }

    /// A version that no other catalog has, for one that is not committed yet.
    pub(crate) fn private_version(&self) -> u64 {
        self.private.fetch_add(1, Ordering::Relaxed)
    }
}

fn drain(mut scan: cairn_storage::Scan, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    while let Some((_, value)) = scan.next()? {
        each(value)?;
    }
    Ok(())
}

fn check_keyspace(get: Get<'_>) -> Result<()> {
    let bytes = get(&key_space::key(CATALOG, section::META, b"keyspace"))?;
    let found = bytes.and_then(|b| <[u8; 4]>::try_from(&b[..]).ok()).map(u32::from_le_bytes);
    match found {
        Some(KEYSPACE_VERSION) => Ok(()),
        Some(version) => Err(Error::Unsupported {
            message: format!("keyspace version {version}; this program reads version {KEYSPACE_VERSION}"),
        }),
        None => Err(Error::corrupt("catalog", "no keyspace version")),
    }
}

fn version(get: Get<'_>) -> Result<u64> {
    let bytes = get(&key_space::schema_version_key())?;
    let bytes = bytes.and_then(|b| <[u8; 8]>::try_from(&b[..]).ok());
    bytes.map(u64::from_le_bytes).ok_or_else(|| Error::corrupt("catalog", "no schema version"))
}

fn load(get: Get<'_>, scan: Scan<'_>) -> Result<Catalog> {
    let mut catalog = Catalog::default();
    catalog.set_version(version(get)?);
    let range = |section| key_space::absolute(CATALOG, section, &KeyRange::all());
    catalog.put_role(RoleDescriptor::bootstrap());
    super::PREDEFINED.iter().for_each(|(id, name)| catalog.put_role(RoleDescriptor::new(*id, name)));
    scan(range(section::ROLES), &mut |bytes| {
        catalog.put_role(RoleDescriptor::decode(bytes)?);
        Ok(())
    })?;
    scan(range(section::ACCESS), &mut |bytes| {
        catalog.put_access(AccessDescriptor::decode(bytes)?);
        Ok(())
    })?;
    scan(range(section::SCHEMAS), &mut |bytes| {
        catalog.put_schema(SchemaDescriptor::decode(bytes)?);
        Ok(())
    })?;
    // Before whatever has columns of them.
    scan(range(section::TYPES), &mut |bytes| {
        catalog.put_type(TypeDescriptor::decode(bytes)?);
        Ok(())
    })?;
    scan(range(section::TABLES), &mut |bytes| {
        catalog.put_table(TableDescriptor::decode(bytes)?);
        Ok(())
    })?;
    scan(range(section::VIEWS), &mut |bytes| {
        catalog.put_view(ViewDescriptor::decode(bytes)?);
        Ok(())
    })?;
    scan(range(section::SEQUENCES), &mut |bytes| {
        catalog.put_sequence(SequenceDescriptor::decode(bytes)?);
        Ok(())
    })?;
    scan(range(section::ROUTINES), &mut |bytes| {
        catalog.put_routine(RoutineDescriptor::decode(bytes)?);
        Ok(())
    })?;
    Ok(catalog)
}

/// Writing descriptors: into the store and into the transaction's own picture together.
impl Writer<'_> {
    pub(crate) fn put_schema(&mut self, schema: SchemaDescriptor) -> Result<()> {
        let bytes = schema.encode()?;
        self.begin_definitions()?;
        if self.catalog.schemas().all(|own| own.id != schema.id) {
            self.own(Class::Schema, schema.id, None)?;
        }
        self.txn().put(&key_space::object_key(section::SCHEMAS, schema.id), &bytes)?;
        self.change_catalog(|catalog| catalog.put_schema(schema));
        Ok(())
    }

    pub(crate) fn put_table(&mut self, mut table: TableDescriptor) -> Result<Arc<super::Table>> {
        // A comment goes with what it is on.
        let mut comments = std::mem::take(&mut table.constraint_comments);
        comments.retain(|name, _| table.has_constraint(name));
        table.constraint_comments = comments;
        let bytes = table.encode()?;
        self.begin_definitions()?;
        self.claim_table_names(&table)?;
        self.lock_definition(table.id)?;
        self.guard_definition(table.id);
        self.follow_statistics(table.id, Some(&table))?;
        if self.catalog.table_by_id(table.id).is_none() {
            self.own(Class::Table, table.id, Some(&table.schema))?;
        }
        self.txn().put(&key_space::object_key(section::TABLES, table.id), &bytes)?;
        Ok(self.change_catalog(|catalog| catalog.put_table(table)))
    }

    pub(crate) fn put_view(&mut self, view: ViewDescriptor) -> Result<()> {
        let bytes = view.encode()?;
        self.begin_definitions()?;
        self.claim_name(&view.schema, &view.name)?;
        if self.catalog.view_by_id(view.id).is_none() {
            self.own(Class::Table, view.id, Some(&view.schema))?;
        }
        self.txn().put(&key_space::object_key(section::VIEWS, view.id), &bytes)?;
        self.change_catalog(|catalog| catalog.put_view(view));
        Ok(())
    }

    pub(crate) fn put_sequence(&mut self, sequence: SequenceDescriptor) -> Result<()> {
        let bytes = sequence.encode()?;
        self.begin_definitions()?;
        self.claim_name(&sequence.schema, &sequence.name)?;
        if self.catalog.sequence_by_id(sequence.id).is_none() {
            self.own(Class::Sequence, sequence.id, Some(&sequence.schema))?;
        }
        self.txn().put(&key_space::object_key(section::SEQUENCES, sequence.id), &bytes)?;
        self.change_catalog(|catalog| catalog.put_sequence(sequence));
        Ok(())
    }

    pub(crate) fn put_routine(&mut self, routine: RoutineDescriptor) -> Result<()> {
        let bytes = routine.encode()?;
        self.begin_definitions()?;
        if self.catalog.routine_by_id(routine.id).is_none() {
            self.own(Class::Routine, routine.id, Some(&routine.schema))?;
        }
        self.txn().put(&key_space::object_key(section::ROUTINES, routine.id), &bytes)?;
        self.change_catalog(|catalog| catalog.put_routine(routine));
        Ok(())
    }

    pub(crate) fn remove_routine(&mut self, id: super::ObjectId) -> Result<()> {
        self.begin_definitions()?;
        self.remove_access(id)?;
        self.txn().delete(&key_space::object_key(section::ROUTINES, id))?;
        self.change_catalog(|catalog| catalog.remove_routine(id));
        Ok(())
    }

    pub(crate) fn put_type(&mut self, ty: TypeDescriptor) -> Result<()> {
        let bytes = ty.encode()?;
        self.begin_definitions()?;
        if self.catalog.type_by_id(ty.id).is_none() {
            self.own(Class::Type, ty.id, Some(&ty.schema))?;
        }
        self.txn().put(&key_space::object_key(section::TYPES, ty.id), &bytes)?;
        self.change_catalog(|catalog| catalog.put_type(ty));
        Ok(())
    }

    pub(crate) fn remove_type(&mut self, id: super::ObjectId) -> Result<()> {
        self.begin_definitions()?;
        self.remove_access(id)?;
        self.txn().delete(&key_space::object_key(section::TYPES, id))?;
        self.change_catalog(|catalog| catalog.remove_type(id));
        Ok(())
    }

    pub(crate) fn remove_schema(&mut self, schema: &SchemaDescriptor) -> Result<()> {
        self.begin_definitions()?;
        self.remove_access(schema.id)?;
        self.txn().delete(&key_space::object_key(section::SCHEMAS, schema.id))?;
        self.change_catalog(|catalog| catalog.remove_schema(&schema.name));
        Ok(())
    }

    /// Takes the descriptor away; the rows are the caller's.
    pub(crate) fn remove_table(&mut self, id: super::ObjectId) -> Result<()> {
        self.begin_definitions()?;
        self.lock_definition(id)?;
        self.guard_definition(id);
        self.follow_statistics(id, None)?;
        self.remove_access(id)?;
        self.txn().delete(&key_space::object_key(section::TABLES, id))?;
        self.change_catalog(|catalog| catalog.remove_table(id));
        Ok(())
    }

    pub(crate) fn remove_view(&mut self, id: super::ObjectId) -> Result<()> {
        self.begin_definitions()?;
        self.remove_access(id)?;
        self.txn().delete(&key_space::object_key(section::VIEWS, id))?;
        self.change_catalog(|catalog| catalog.remove_view(id));
        Ok(())
    }

    /// Takes the descriptor away. Its position stays behind: `nextval` may have written it since this transaction's
    /// snapshot, which would make the commit a conflict; the id is never used again.
    pub(crate) fn remove_sequence(&mut self, id: super::ObjectId) -> Result<()> {
        self.begin_definitions()?;
        self.remove_access(id)?;
        self.txn().delete(&key_space::object_key(section::SEQUENCES, id))?;
        self.change_catalog(|catalog| catalog.remove_sequence(id));
        Ok(())
    }

    /// Gives a new object to the role that makes it, with what its default privileges say.
    fn own(&mut self, class: Class, id: super::ObjectId, schema: Option<&str>) -> Result<()> {
        let owner = self.role();
        let schema = schema.and_then(|schema| self.catalog.schema(schema)).map(|schema| schema.id);
        let acl = self.catalog.default_privileges(owner, schema, class);
        self.put_access(AccessDescriptor { owner, acl, ..AccessDescriptor::new(id) })
    }

    pub(crate) fn put_access(&mut self, access: AccessDescriptor) -> Result<()> {
        if access.is_plain() {
            return self.remove_access(access.id);
        }
        let bytes = access.encode()?;
        self.begin_definitions()?;
        self.txn().put(&key_space::object_key(section::ACCESS, access.id), &bytes)?;
        self.change_catalog(|catalog| catalog.put_access(access));
        Ok(())
    }

    fn remove_access(&mut self, id: super::ObjectId) -> Result<()> {
        if self.catalog.access(id).is_some() {
            self.begin_definitions()?;
            self.txn().delete(&key_space::object_key(section::ACCESS, id))?;
            self.change_catalog(|catalog| catalog.remove_access(id));
        }
        Ok(())
    }

    pub(crate) fn put_role(&mut self, role: RoleDescriptor) -> Result<()> {
        let bytes = role.encode()?;
        self.begin_definitions()?;
        self.txn().put(&key_space::object_key(section::ROLES, role.id), &bytes)?;
        self.change_catalog(|catalog| catalog.put_role(role));
        Ok(())
    }

    pub(crate) fn remove_role(&mut self, id: super::ObjectId) -> Result<()> {
        self.begin_definitions()?;
        self.txn().delete(&key_space::object_key(section::ROLES, id))?;
        self.change_catalog(|catalog| catalog.remove_role(id));
        Ok(())
    }
}
