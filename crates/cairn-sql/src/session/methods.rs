//! Which means of running a statement are allowed: `enable_seqscan` and its like, and CairnDB's own short ways. All of
//! them give the same answers; a user compares plans with them, and the tests compare answers.

/// The switches of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Methods {
    /// A whole table is read only where there is no other way.
    pub(crate) seqscan: bool,
    /// Rows are found by primary key and index; without, tables are read whole.
    pub(crate) indexscan: bool,
    /// Rows are found by several indexes at once.
    pub(crate) bitmapscan: bool,
    /// Rows are sorted; without, only where nothing else gives the order.
    pub(crate) sort: bool,
    /// Joins on equality go by hash tables; without, by sorted inputs.
    pub(crate) hashjoin: bool,
    /// Joins look up rows by key and index.
    pub(crate) nestloop: bool,
    /// Inner joins are put in the cheapest order; without, they stay in the order that they are written in.
    pub(crate) join_order: bool,
    /// Correlated subqueries become joins where they can; without, each runs for every outer value.
    pub(crate) decorrelate: bool,
    /// Statements on one row by its key run without planning.
    pub(crate) point_path: bool,
    /// Plans are kept between executions.
    pub(crate) plan_cache: bool,
}

impl Default for Methods {
    fn default() -> Self {
        Self {
            seqscan: true,
            indexscan: true,
            bitmapscan: true,
            sort: true,
            hashjoin: true,
            nestloop: true,
            join_order: true,
            decorrelate: true,
            point_path: true,
            plan_cache: true,
        }
    }
}

impl Methods {
    /// Sets the switch that a parameter stands for, if it stands for one.
    pub(crate) fn set(&mut self, name: &str, on: bool) {
        match name {
            "enable_seqscan" => self.seqscan = on,
            "enable_indexscan" => self.indexscan = on,
            "enable_bitmapscan" => self.bitmapscan = on,
            "enable_sort" => self.sort = on,
            "enable_hashjoin" => self.hashjoin = on,
            "enable_nestloop" => self.nestloop = on,
            "cairn.join_order" => self.join_order = on,
            "cairn.decorrelate" => self.decorrelate = on,
            "cairn.point_path" => self.point_path = on,
            "cairn.plan_cache" => self.plan_cache = on,
            _ => {}
        }
    }
}
