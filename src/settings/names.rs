//! Tables of a run file that can be given by a name.

use super::TaskChoice;
use crate::data::DataSettings;
use crate::environments::{ENVIRONMENTS, EnvironmentSettings};
use crate::error::Result;
use crate::nn::{ModelSpec, PRESETS};
use crate::optim::{OptimizerConfig, Schedule};
use crate::schema;
use crate::tasks::{Loss, REGISTRY};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A table of the settings that can be given by a name.
pub(super) trait FromName: Sized {
    fn from_name(name: &str) -> Result<Self>;

    /// The schema of a name.
    fn name_schema() -> Schema;
}

impl FromName for DataSettings {
    fn from_name(source: &str) -> Result<Self> {
        Ok(DataSettings {
            source: source.to_string(),
            ..DataSettings::default()
        })
    }

    fn name_schema() -> Schema {
        json_schema!({
            "type": "string",
            "description": "The source: `digits` for the built-in ones, or a file or folder.",
        })
    }
}

impl FromName for EnvironmentSettings {
    fn from_name(name: &str) -> Result<Self> {
        Ok(EnvironmentSettings {
            name: name.to_string(),
            ..EnvironmentSettings::default()
        })
    }

    fn name_schema() -> Schema {
        let own = ENVIRONMENTS.iter().map(|known| known.name);
        let others = ENVIRONMENTS.iter().filter_map(|known| known.gymnasium);
        schema::names(own.chain(others))
    }
}

impl FromName for OptimizerConfig {
    fn from_name(name: &str) -> Result<Self> {
        OptimizerConfig::named(name)
    }

    fn name_schema() -> Schema {
        schema::names(OptimizerConfig::NAMES.iter().copied())
    }
}

impl FromName for Loss {
    fn from_name(name: &str) -> Result<Self> {
        Loss::named(name)
    }

    fn name_schema() -> Schema {
        schema::names(Loss::NAMES.iter().copied())
    }
}

impl FromName for Schedule {
    fn from_name(name: &str) -> Result<Self> {
        Schedule::named(name)
    }

    fn name_schema() -> Schema {
        let named = |name: &&&str| Schedule::named(name).is_ok();
        schema::names(Schedule::NAMES.iter().filter(named).copied())
    }
}

impl FromName for ModelSpec {
    /// Only the name: [`Settings::read`](super::Settings::read) knows the folder in which to look for it.
    fn from_name(name: &str) -> Result<Self> {
        Ok(ModelSpec {
            name: name.to_string(),
            ..ModelSpec::default()
        })
    }

    fn name_schema() -> Schema {
        let built_in: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        json_schema!({
            "type": "string",
            "description": "The name of a built-in model, or the path of a model file.",
            "anyOf": [{ "enum": built_in }, {}],
        })
    }
}

/// The schema of a table, or of a name that stands for one.
pub(super) struct TableOrName<T>(PhantomData<T>);

impl<T: FromName + JsonSchema> JsonSchema for TableOrName<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_name", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema::or_name(&generator.subschema_for::<T>(), &T::name_schema())
    }
}

/// Reads a table, or a name that stands for one.
pub(super) fn table_or_name<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromName,
{
    struct TableOrName<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de> + FromName> Visitor<'de> for TableOrName<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table or a name")
        }

        fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<T, E> {
            T::from_name(name).map_err(E::custom)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(TableOrName(PhantomData))
}

/// Reads a table of tables, each of which may be given by a name.
pub(super) fn tables_or_names<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromName,
{
    #[derive(Deserialize)]
    #[serde(bound = "T: Deserialize<'de> + FromName")]
    struct Entry<T>(#[serde(deserialize_with = "table_or_name")] T);

    let entries = BTreeMap::<String, Entry<T>>::deserialize(deserializer)?;
    Ok(entries
        .into_iter()
        .map(|(name, Entry(value))| (name, value))
        .collect())
}

impl FromName for TaskChoice {
    fn from_name(name: &str) -> Result<Self> {
        Ok(TaskChoice {
            name: Some(name.to_string()),
            own: toml::Table::new(),
        })
    }

    fn name_schema() -> Schema {
        schema::names(REGISTRY.iter().map(|task| task.name))
    }
}
