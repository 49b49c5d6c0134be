//! PostgreSQL's text input and output (being written).
use crate::{DataType, TypeError, Value};
use arrow_array::Array;
impl Value {
    /// The text as PostgreSQL prints a value of `ty`; NULL gives the empty text.
    #[must_use]
    pub fn to_text(&self, ty: &DataType) -> String {
        let _ = ty;
        format!("{self:?}")
    }
    /// Reads PostgreSQL's input syntax.
    ///
    /// # Errors
    /// Where the text is not of the type's form.
    pub fn parse_text(text: &str, ty: &DataType) -> Result<Value, TypeError> {
        Err(TypeError::InvalidText { type_name: ty.base_name().to_owned(), input: text.to_owned() })
    }
}
/// Appends the text of one cell as PostgreSQL prints it; nothing for NULL.
pub fn format_cell(array: &dyn Array, row: usize, ty: &DataType, out: &mut String) {
    out.push_str(&Value::from_array(array, row, ty).to_text(ty));
}
