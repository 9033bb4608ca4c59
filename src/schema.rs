//! JSON schemas of the tables of run and model files. Most are derived from the types, with their docstrings; this file has what
//! several of the others need, and the form in which a schema is printed.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// The schema of a file with the settings `T`, called `title`: draft 7, which editors of TOML understand.
pub(crate) fn of_file<T: JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<T>();
    RecursiveTransform(without_null).transform(&mut schema);
    RecursiveTransform(in_plain_words).transform(&mut schema);
    schema.insert("title".to_string(), title.into());
    schema.to_value()
}

/// A table of one of several kinds, each of them a schema of [`kind`].
pub(crate) fn one_of(kinds: Vec<Schema>) -> Schema {
    json_schema!({ "oneOf": kinds })
}

/// The table `T` with the key `tag`, whose value is `name`.
pub(crate) fn kind<T: JsonSchema>(
    tag: &str,
    name: &str,
    generator: &mut SchemaGenerator,
) -> Schema {
    let mut schema = T::json_schema(generator);
    add_properties(&mut schema, [(tag.to_string(), json!({ "const": name }))]);
    let required = schema
        .ensure_object()
        .entry("required")
        .or_insert(json!([]));
    if let Value::Array(required) = required {
        required.push(tag.into());
    }
    schema
}

/// Adds keys to the schema of a table.
pub(crate) fn add_properties(
    schema: &mut Schema,
    added: impl IntoIterator<Item = (String, Value)>,
) {
    let properties = schema
        .ensure_object()
        .entry("properties")
        .or_insert(json!({}));
    if let Value::Object(properties) = properties {
        properties.extend(added);
    }
}

/// The schema of a table without keys.
pub(crate) fn empty_table(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": false })
}

/// A value, or a name that stands for one.
pub(crate) fn or_name(value: &Schema, name: &Schema) -> Schema {
    json_schema!({ "anyOf": [name, value] })
}

/// The schema of a name: one of `known`.
pub(crate) fn names<'n>(known: impl IntoIterator<Item = &'n str>) -> Schema {
    let known: Vec<&str> = known.into_iter().collect();
    json_schema!({ "type": "string", "enum": known })
}

/// Any table.
pub(crate) fn any_table(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

/// TOML has no null: a key is left out.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|ty| ty != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            object.insert("type".to_string(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice != &json!({ "type": "null" }));
        if let [only] = &choices[..] {
            let only = only.clone();
            object.remove("anyOf");
            merge(object, only);
        }
    }
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
}

/// Takes the only choice of a schema into it. Draft 7 ignores keys beside `$ref`, which `allOf` therefore wraps.
fn merge(object: &mut Map<String, Value>, only: Value) {
    match only {
        Value::Object(only) if only.contains_key("$ref") => {
            object.insert("allOf".to_string(), json!([only]));
        }
        Value::Object(only) => {
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
        _ => {}
    }
}

/// Joins the lines of the paragraphs of a description, and replaces the links of rustdoc in it by their texts: "[`Adam`]" and "[`Adam`](super::Adam)" by "`Adam`".
fn in_plain_words(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs = text.split("\n\n").map(|text| text.replace('\n', " "));
        *text = without_links(&paragraphs.collect::<Vec<_>>().join("\n\n"));
    }
}

fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        out += before;
        let Some((name, after)) = after.split_once("`]") else {
            out += "[`";
            rest = after;
            continue;
        };
        out += &format!("`{name}`");
        let target = after
            .strip_prefix('(')
            .and_then(|link| link.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_replaced_by_their_texts() {
        for (text, plain) in [
            ("`p`, then [`Adam`]'s step", "`p`, then `Adam`'s step"),
            (
                "[`A`](super::A) and [height, width]",
                "`A` and [height, width]",
            ),
            ("[`open", "[`open"),
        ] {
            assert_eq!(without_links(text), plain);
        }
    }

    #[test]
    fn an_optional_value_is_not_null() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema is used")]
        struct Table {
            number: Option<u32>,
            table: Option<Box<Table>>,
        }
        let schema = of_file::<Table>("t");
        let number = &schema["properties"]["number"];
        assert_eq!(
            (&number["type"], number.get("default")),
            (&json!("integer"), None)
        );
        let table = &schema["properties"]["table"];
        assert_eq!(table, &json!({ "allOf": [{ "$ref": "#" }] }));
    }
}
