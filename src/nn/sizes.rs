//! Sizes of the data that a layer can name in place of a number of units.

use super::{ModelSpec, NamedUnits};
use toml::Value;

/// Sizes of the data. A run takes them from its data; a model file may give them for use without data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataSizes {
    /// Number of classes.
    pub classes: Option<usize>,
    /// Numbers to predict for a sample: one for each class, or every number of the target.
    pub targets: Option<usize>,
    /// Columns of a row or window.
    pub columns: Option<usize>,
    /// Rows to predict after a window.
    pub horizon: Option<usize>,
}

impl DataSizes {
    /// The size called `name`.
    pub fn get(&self, name: NamedUnits) -> Option<usize> {
        match name {
            NamedUnits::Classes => self.classes,
            NamedUnits::Targets => self.targets,
            NamedUnits::Columns => self.columns,
            NamedUnits::Horizon => self.horizon,
            NamedUnits::Vocabulary => None,
        }
    }

    /// These sizes, each replaced by that of `data` if that is known and `wanted`.
    pub(super) fn replaced(
        self,
        data: DataSizes,
        wanted: impl Fn(NamedUnits) -> bool,
    ) -> DataSizes {
        let size = |name| data.get(name).filter(|_| wanted(name)).or(self.get(name));
        DataSizes {
            classes: size(NamedUnits::Classes),
            targets: size(NamedUnits::Targets),
            columns: size(NamedUnits::Columns),
            horizon: size(NamedUnits::Horizon),
        }
    }
}

/// Keys of a layer whose strings are names of the model, not of sizes.
const NAMES: [&str; 6] = ["name", "type", "input", "inputs", "block", "tied"];

/// Whether a layer of `model`, or of one of its blocks, has the units `name`.
pub(super) fn names(model: &ModelSpec, name: NamedUnits) -> bool {
    let layers = model
        .layers
        .iter()
        .filter_map(|layer| Value::try_from(layer).ok());
    let blocks = model.blocks.values();
    let templates = blocks.flat_map(|block| block.layers.iter().cloned().map(Value::Table));
    layers
        .chain(templates)
        .any(|layer| mentions(&layer, name.name()))
}

fn mentions(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => text == name,
        Value::Array(values) => values.iter().any(|value| mentions(value, name)),
        Value::Table(table) => table
            .iter()
            .any(|(key, value)| !NAMES.contains(&&**key) && mentions(value, name)),
        _ => false,
    }
}
