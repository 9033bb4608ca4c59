//! Tables of a run file that can be given by a name.

use super::TaskChoice;
use crate::data::DataSettings;
use crate::error::Result;
use crate::nn::ModelSpec;
use crate::optim::{OptimizerConfig, Schedule};
use crate::tasks::Loss;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A table of the settings that can be given by a name.
pub(super) trait FromName: Sized {
    fn from_name(name: &str) -> Result<Self>;
}

impl FromName for DataSettings {
    fn from_name(source: &str) -> Result<Self> {
        Ok(DataSettings {
            source: source.to_string(),
            ..DataSettings::default()
        })
    }
}

impl FromName for OptimizerConfig {
    fn from_name(name: &str) -> Result<Self> {
        OptimizerConfig::named(name)
    }
}

impl FromName for Loss {
    fn from_name(name: &str) -> Result<Self> {
        Loss::named(name)
    }
}

impl FromName for Schedule {
    fn from_name(name: &str) -> Result<Self> {
        Schedule::named(name)
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
}
