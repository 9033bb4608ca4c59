//! The weights of a file, found by layer.
//!
//! Keras 3 numbers them: `layers/OBJECT/vars/0`, where the attribute `name` of `vars` is the layer's name, and layers within a layer
//! are groups in it, as in `layers/OBJECT/cell/vars/0`. Older files name them: `model_weights/LAYER/.../LAYER/kernel:0`.

use super::hdf5::HdfGroup;
use crate::onnx::array::Array;

/// The weights of a file, or of a network within another.
#[derive(Clone, Copy)]
pub enum Weights<'f> {
    /// Numbered.
    ByLayer(&'f HdfGroup),
    /// Named, with the outermost layer that is looked in, if there is one.
    ByName(&'f HdfGroup, Option<&'f HdfGroup>),
}

/// The weights of a whole file.
pub enum StoredWeights {
    /// Numbered.
    ByLayer(HdfGroup),
    /// Named.
    ByName(HdfGroup),
}

impl StoredWeights {
    /// Those of a file in which they are numbered.
    pub fn by_layer(file: HdfGroup) -> StoredWeights {
        StoredWeights::ByLayer(file)
    }

    /// Those of a file in which they are named.
    pub fn by_name(mut file: HdfGroup) -> StoredWeights {
        let weights = file.groups.remove("model_weights");
        StoredWeights::ByName(weights.unwrap_or(file))
    }

    /// To look in.
    pub fn weights(&self) -> Weights<'_> {
        match self {
            StoredWeights::ByLayer(file) => Weights::ByLayer(file),
            StoredWeights::ByName(file) => Weights::ByName(file, None),
        }
    }
}

/// A weight of a layer: where it is within the layer, its number there, and its name.
#[derive(Clone, Copy)]
pub struct Weight {
    /// Layers within the layer, as groups: `cell`, `forward_layer/cell`.
    pub within: &'static str,
    /// What older files call them, a part of the path: `forward_`.
    pub path: &'static str,
    /// Number.
    pub number: usize,
    /// Name: `kernel`.
    pub name: &'static str,
}

impl Weight {
    /// A weight of the layer itself.
    pub const fn own(number: usize, name: &'static str) -> Weight {
        Weight {
            within: "",
            path: "",
            number,
            name,
        }
    }
}

impl<'f> Weights<'f> {
    /// The group of the layer `layer` in a file in which weights are numbered.
    fn layer(group: &'f HdfGroup, layer: &str) -> Option<&'f HdfGroup> {
        let named = |group: &&HdfGroup| {
            let vars = group.groups.get("vars");
            let name = vars.and_then(|vars| vars.attributes.get("name"));
            name.is_some_and(|name| name == layer)
        };
        group.groups.get("layers")?.groups.values().find(named)
    }

    /// The weights of the network `layer` within this one.
    pub fn network(self, layer: &str) -> Option<Weights<'f>> {
        match self {
            Weights::ByLayer(group) => Some(Weights::ByLayer(Self::layer(group, layer)?)),
            Weights::ByName(file, outer) => {
                let outer = outer.or_else(|| file.groups.get(layer));
                Some(Weights::ByName(file, outer))
            }
        }
    }

    /// The weight `weight` of the layer `layer`.
    pub fn get(self, layer: &str, weight: Weight) -> Option<&'f Array> {
        match self {
            Weights::ByLayer(group) => {
                let layer = Self::layer(group, layer)?.group(weight.within)?;
                let vars = layer.groups.get("vars")?;
                vars.arrays.get(&weight.number.to_string())
            }
            Weights::ByName(file, outer) => {
                let within = outer.or_else(|| file.groups.get(layer))?;
                let fits = |path: &str| {
                    let mut names = path.split('/');
                    let last = names.next_back().unwrap_or_default();
                    let last = last.split(':').next().unwrap_or_default();
                    let own = outer.is_none() || names.clone().any(|name| name == layer);
                    let inner = weight.path.is_empty() || names.any(|n| n.contains(weight.path));
                    last == weight.name && own && inner
                };
                let mut arrays = within.all_arrays().into_iter();
                arrays.find_map(|(path, array)| fits(&path).then_some(array))
            }
        }
    }
}
