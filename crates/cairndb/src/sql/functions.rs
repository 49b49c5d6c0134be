//! Functions of the application's own.

use std::sync::Arc;

use cairn_sql::ScalarFunction;
use cairn_types::{DataType, Value};

pub use cairn_sql::Volatility;

use crate::{Database, Result};

impl Database {
    /// Lets SQL call a Rust closure by name, in all sessions, until the database is closed. `name` is as SQL folds names:
    /// in lower case. The arguments come as values of the declared types; a NULL among them makes the result NULL without
    /// a call. What the closure fails with becomes the message of an error `38000`. It runs on the threads of queries,
    /// several at once.
    ///
    /// It stands in no catalog: where a CHECK, a DEFAULT, a generated column or an index calls it, give it again each time
    /// the database is opened, before the first statement. Only immutable ones may be used in generated columns and indexes.
    ///
    /// ```
    /// use cairndb::{DataType, Database, Value, Volatility};
    /// let db = Database::in_memory()?;
    /// db.create_function("shout", &[DataType::Text], DataType::Text, Volatility::Immutable, |args| {
    ///     Ok(Value::Text(format!("{}!", args[0].as_str().unwrap_or_default().to_uppercase())))
    /// })?;
    /// for row in db.query("SELECT shout('oslo')", &[])? {
    ///     assert_eq!(row?.get::<String>(0)?, "OSLO!");
    /// }
    /// # Ok::<(), cairndb::Error>(())
    /// ```
    ///
    /// # Errors
    /// SQLSTATE `42723` where there is a function of that name.
    pub fn create_function(
        &self,
        name: &str,
        parameters: &[DataType],
        result: DataType,
        volatility: Volatility,
        code: impl Fn(&[Value]) -> std::result::Result<Value, String> + Send + Sync + 'static,
    ) -> Result<()> {
        let function = ScalarFunction {
            name: name.to_owned(),
            parameters: parameters.to_vec(),
            result,
            volatility,
            strict: true,
            code: Arc::new(code),
        };
        Ok(self.shared.engine.create_function(function)?)
    }
}
