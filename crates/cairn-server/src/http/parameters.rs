//! JSON as the values of a statement's parameters, each read as the type that the statement gives it.

use cairndb::{DataType, Value};
use serde_json::Value as Json;

use super::guest::Guest;
use super::problem::Problem;

/// What a request gives for parameters: a list for `$1`, `$2` …, an object for `:name`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Parameters {
    #[default]
    None,
    Listed(Vec<Json>),
    Named(serde_json::Map<String, Json>),
}

impl Parameters {
    /// The values in the order of `$1`, `$2` ….
    fn in_order(&self, sql: &str) -> Result<Vec<&Json>, Problem> {
        match self {
            Parameters::None => Ok(Vec::new()),
            Parameters::Listed(list) => Ok(list.iter().collect()),
            Parameters::Named(named) => {
                let names = cairndb::parameter_names(sql);
                if let Some(unknown) = named.keys().find(|name| !names.contains(name)) {
                    return Err(missing(format!("the statement has no parameter \":{unknown}\"")));
                }
                let value = |name: &String| {
                    named.get(name).ok_or_else(|| missing(format!("parameter \":{name}\" has no value")))
                };
                names.iter().map(value).collect()
            }
        }
    }

    /// The values that a statement is run with.
    pub(super) async fn values(&self, guest: &mut Guest, sql: &str) -> Result<Vec<Value>, Problem> {
        let given = self.in_order(sql)?;
        if given.is_empty() {
            return Ok(Vec::new());
        }
        let prepared = guest.session.prepare_async(sql, &[]).await?;
        let types = prepared.parameter_types();
        if types.len() != given.len() {
            let (wanted, count) = (types.len(), given.len());
            return Err(missing(format!("the statement has {wanted} parameters, {count} are given")));
        }
        given.iter().zip(types).map(|(json, ty)| value(json, ty)).collect()
    }
}

fn missing(message: String) -> Problem {
    Problem::new(400, "42P02", message)
}

/// A value of a type, out of JSON.
pub(super) fn value(json: &Json, ty: &DataType) -> Result<Value, Problem> {
    if json.is_null() {
        return Ok(Value::Null);
    }
    Ok(Value::parse_text(&text(json, ty), ty).map_err(cairndb::Error::from)?)
}

/// PostgreSQL's text of a value of a type.
pub(super) fn text(json: &Json, ty: &DataType) -> String {
    match (json, ty) {
        (Json::String(text), _) => text.clone(),
        (Json::Array(items), DataType::Array(element)) => {
            let mut out = String::new();
            list(items, element, &mut out);
            out
        }
        (other, _) => other.to_string(),
    }
}

/// An array's text: `{1,NULL,"a b"}`.
fn list(items: &[Json], element: &DataType, out: &mut String) {
    out.push('{');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match item {
            Json::Null => out.push_str("NULL"),
            Json::Array(inner) if !matches!(element, DataType::Json | DataType::Jsonb) => {
                list(inner, element, out)
            }
            item => {
                out.push('"');
                for c in text(item, element).chars() {
                    if matches!(c, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(c);
                }
                out.push('"');
            }
        }
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_the_type_says() {
        let text = |json: &str, ty: &DataType| text(&serde_json::from_str(json).expect("JSON"), ty);
        let texts = DataType::Array(Box::new(DataType::Text));
        assert_eq!(text(r#"["a\"b", null, "NULL", ["x"]]"#, &texts), r#"{"a\"b",NULL,"NULL",{"x"}}"#);
        assert_eq!(text("12345678901234567890.10", &DataType::Numeric(None)), "12345678901234567890.10");
        assert_eq!(text(r#"{"b":1,"a":[2]}"#, &DataType::Json), r#"{"b":1,"a":[2]}"#);
        assert_eq!(text("true", &DataType::Boolean), "true");
    }
}
