//! The layers of Keras, by families, and networks of them.

mod activation;
mod attention;
mod constant;
mod conv;
mod dense;
mod merge;
mod norm;
mod operations;
mod pool;
mod recurrent;
mod scale;
mod shape;

use super::config::{CallConfig, KerasOperand, KerasTensor, LayerConfig, NetworkConfig};
use super::net::{KerasValue, Net};
use super::stored::{StoredWeights, Weight, Weights};
use super::{DEEPEST, MOST_NODES};
use crate::nearest::did_you_mean;
use crate::onnx::array::Array;
use crate::onnx::element::Element;
use crate::onnx::file::{Declared, DeclaredExtent};
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};

/// The result of a layer, or what is wrong with it, as the rest of a sentence about the layer.
type Made = Result<KerasValue, String>;

/// A class of layers.
struct Class {
    /// Its name.
    name: &'static str,
    /// Adds the nodes of a layer.
    build: fn(&mut KerasSite<'_, '_>) -> Made,
}

const fn class(name: &'static str, build: fn(&mut KerasSite<'_, '_>) -> Made) -> Class {
    Class { name, build }
}

const FAMILIES: [&[Class]; 11] = [
    activation::CLASSES,
    attention::CLASSES,
    conv::CLASSES,
    dense::CLASSES,
    merge::CLASSES,
    norm::CLASSES,
    operations::CLASSES,
    pool::CLASSES,
    recurrent::CLASSES,
    scale::CLASSES,
    shape::CLASSES,
];

/// A call of a layer under construction.
pub struct KerasSite<'s, 'f> {
    net: &'s mut Net,
    layer: &'s LayerConfig,
    call: &'s CallConfig,
    /// What it reads; a constant is `None`.
    inputs: Vec<Option<KerasValue>>,
    named: Vec<(&'s str, KerasValue)>,
    weights: Weights<'f>,
}

impl KerasSite<'_, '_> {
    /// The first operand.
    fn x(&self) -> Made {
        let first = self.inputs.first().cloned().flatten();
        first.ok_or_else(|| "reads nothing; save the model again".to_string())
    }

    /// The tensors that it reads.
    fn tensors(&self) -> Vec<KerasValue> {
        self.inputs.iter().flatten().cloned().collect()
    }

    /// Operand `at`: a value, or a constant.
    fn operand(&mut self, at: usize) -> Made {
        let value = self.inputs.get(at).cloned().flatten();
        match (value, self.call.inputs.get(at)) {
            (Some(value), _) => Ok(value),
            (None, Some(KerasOperand::Constant(json))) => {
                let array = constant::array(json)?;
                Ok(KerasValue {
                    rank: array.dims.len(),
                    name: self.net.constant(array),
                })
            }
            (None, Some(KerasOperand::Tensor(tensor))) => {
                Err(format!("reads {}, which is not there", tensor.layer))
            }
            (None, None) => Err("reads nothing; save the model again".to_string()),
        }
    }

    /// The setting `key`, which is not null.
    fn setting(&self, key: &str) -> Option<&Json> {
        self.layer.config.get(key).filter(|value| !value.is_null())
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.setting(key).and_then(Json::as_bool).unwrap_or(default)
    }

    fn number(&self, key: &str, default: f64) -> f64 {
        self.setting(key).and_then(Json::as_f64).unwrap_or(default)
    }

    fn text(&self, key: &str, default: &str) -> String {
        let text = self.setting(key).and_then(Json::as_str);
        text.unwrap_or(default).to_string()
    }

    fn count(&self, key: &str) -> Option<usize> {
        let count = self.setting(key)?.as_u64()?;
        usize::try_from(count).ok()
    }

    /// The setting `key`: `axes` counts, or one for all of them.
    fn counts(&self, key: &str, axes: usize, default: usize) -> Result<Vec<usize>, String> {
        let Some(value) = self.setting(key) else {
            return Ok(vec![default; axes]);
        };
        let list = match value.as_array() {
            Some(list) => list.iter().map(Json::as_u64).collect::<Option<Vec<u64>>>(),
            None => value.as_u64().map(|count| vec![count; axes]),
        };
        let counts = list.filter(|list| list.len() == axes && list.iter().all(|&n| n < 1 << 20));
        match counts {
            Some(counts) => Ok(counts.into_iter().map(|n| n as usize).collect()),
            None => Err(format!(
                "has {key} = {value}, which does not fit {axes} axes"
            )),
        }
    }

    /// Refuses images with channels first.
    fn channels_are_last(&self) -> Result<(), String> {
        match self.text("data_format", "channels_last").as_str() {
            "channels_last" => Ok(()),
            other => Err(format!(
                "has data_format = \"{other}\"; build the network with channels_last, or export it as ONNX"
            )),
        }
    }

    /// The first operand, which must be images over `axes` axes with their channels last.
    fn image(&self, axes: usize) -> Made {
        self.channels_are_last()?;
        let x = self.x()?;
        match x.rank == axes + 2 {
            true => Ok(x),
            false => Err(format!(
                "reads values with {} axes, not {}",
                x.rank,
                axes + 2
            )),
        }
    }

    /// A weight of the layer, if it has one there.
    fn optional(&self, weight: Weight) -> Option<Array> {
        self.weights.get(&self.layer.name, weight).cloned()
    }

    /// A weight of the layer, with `axes` axes.
    fn stored(&self, weight: Weight, axes: usize) -> Result<Array, String> {
        let array = self.optional(weight).ok_or_else(|| {
            format!(
                "has no weight {} in the file; save the model again, whole",
                weight.name
            )
        })?;
        match array.dims.len() == axes {
            true => Ok(array),
            false => Err(format!(
                "has a weight {} of {:?}, which is damaged; save the model again",
                weight.name, array.dims
            )),
        }
    }

    /// `y` plus the weight `weight`, if the layer has a bias.
    fn biased(&mut self, y: KerasValue, weight: Weight) -> Made {
        if !self.flag("use_bias", true) {
            return Ok(y);
        }
        let bias = self.stored(weight, 1)?;
        let bias = self.net.weight(weight.name, bias);
        Ok(KerasValue {
            name: self.net.node("Add", &[&y.name, &bias], Vec::new()),
            rank: y.rank,
        })
    }

    /// `y` after the layer's own activation.
    fn activated(&mut self, y: KerasValue) -> Made {
        match self.setting("activation").cloned() {
            None => Ok(y),
            Some(activation) => activation::apply(self.net, &activation, y),
        }
    }
}

/// Adds the nodes of a whole network, and returns what it reads and gives.
///
/// # Errors
/// If a layer is not supported, as a sentence.
pub fn network(
    net: &mut Net,
    network: &NetworkConfig,
    weights: &StoredWeights,
) -> Result<(Vec<Declared>, Vec<Declared>), String> {
    let mut inputs = Vec::new();
    let mut read = Vec::new();
    for input in &network.inputs {
        let layer = network
            .layers
            .iter()
            .find(|layer| layer.name == input.layer);
        let layer = layer.ok_or_else(|| format!("it has no input {}", input.layer))?;
        let shape = layer.input_shape.as_ref();
        let shape = shape.ok_or_else(|| format!("its input {} has no shape", layer.name))?;
        let element = match layer.config.get("dtype").and_then(Json::as_str) {
            Some(ty) if ty.contains("int") => Element::Int32,
            _ => Element::Float,
        };
        let extent = |extent: &Option<usize>| match extent {
            Some(extent) => DeclaredExtent::Fixed(*extent),
            None => DeclaredExtent::Named(String::new()),
        };
        let mut dims: Vec<DeclaredExtent> = shape.iter().map(extent).collect();
        if let Some(DeclaredExtent::Named(name)) = dims.first_mut() {
            *name = "batch".to_string();
        }
        read.push(KerasValue {
            name: layer.name.clone(),
            rank: dims.len(),
        });
        inputs.push(Declared {
            name: layer.name.clone(),
            element: Some(element),
            dims: Some(dims),
        });
    }
    let made = inner(net, network, weights.weights(), read, "", 0)?;
    let outputs = made.into_iter().map(|value| Declared {
        name: value.name,
        element: Some(Element::Float),
        dims: None,
    });
    Ok((inputs, outputs.collect()))
}

/// Adds the nodes of `network`, whose inputs are `given`; `prefix` is before the names of its layers.
fn inner(
    net: &mut Net,
    network: &NetworkConfig,
    weights: Weights<'_>,
    given: Vec<KerasValue>,
    prefix: &str,
    depth: usize,
) -> Result<Vec<KerasValue>, String> {
    if depth > DEEPEST {
        return Err(format!("its networks are nested more than {DEEPEST} deep"));
    }
    let by_name: HashMap<&str, &LayerConfig> = network
        .layers
        .iter()
        .map(|layer| (layer.name.as_str(), layer))
        .collect();
    let mut done: HashMap<KerasTensor, KerasValue> =
        network.inputs.iter().cloned().zip(given).collect();
    let mut started: HashSet<KerasTensor> = HashSet::new();
    let mut stack: Vec<KerasTensor> = network.outputs.iter().rev().cloned().collect();
    while let Some(wanted) = stack.last().cloned() {
        if done.contains_key(&wanted) {
            stack.pop();
            continue;
        }
        if net.len() > MOST_NODES {
            return Err(format!(
                "it becomes over {MOST_NODES} nodes, which is not supported"
            ));
        }
        let layer = by_name.get(wanted.layer.as_str()).copied();
        let call = layer.and_then(|layer| layer.calls.get(wanted.call));
        let (Some(layer), Some(call)) = (layer, call) else {
            return Err(format!(
                "its configuration names call {} of the layer {}, which is not there; save it again",
                wanted.call, wanted.layer
            ));
        };
        let reads = call.inputs.iter().filter_map(|operand| match operand {
            KerasOperand::Tensor(tensor) => Some(tensor),
            KerasOperand::Constant(_) => None,
        });
        let reads = reads.chain(call.named.iter().map(|(_, tensor)| tensor));
        let missing: Vec<KerasTensor> = reads.filter(|t| !done.contains_key(t)).cloned().collect();
        if !missing.is_empty() {
            if !started.insert(wanted.clone()) {
                return Err(format!(
                    "its layers read one another in a circle, at {}; save it again",
                    wanted.layer
                ));
            }
            stack.extend(missing);
            continue;
        }
        let value = |tensor: &KerasTensor| done.get(tensor).cloned();
        let inputs: Vec<Option<KerasValue>> = call
            .inputs
            .iter()
            .map(|operand| match operand {
                KerasOperand::Tensor(tensor) => value(tensor),
                KerasOperand::Constant(_) => None,
            })
            .collect();
        let named = call.named.iter().filter_map(|(name, tensor)| {
            let value = value(tensor)?;
            Some((name.as_str(), value))
        });
        let located = |why: String| match why.starts_with("the layer ") {
            true => why,
            false => format!("the layer {} ({}) {why}", layer.name, layer.class),
        };
        let results = if matches!(layer.class.as_str(), "Sequential" | "Functional" | "Model") {
            let json = serde_json::json!({ "class_name": layer.class, "config": layer.config });
            let within = NetworkConfig::of(&json).map_err(located)?;
            let own = weights.network(&layer.name).ok_or_else(|| {
                located("has no weights in the file; save the model again, whole".to_string())
            })?;
            let given: Vec<KerasValue> = inputs.into_iter().flatten().collect();
            let prefix = format!("{prefix}{}/", layer.name);
            inner(net, &within, own, given, &prefix, depth + 1)?
        } else {
            net.scope = format!("{prefix}{}", layer.name);
            let mut site = KerasSite {
                net,
                layer,
                call,
                inputs,
                named: named.collect(),
                weights,
            };
            vec![build(&mut site).map_err(located)?]
        };
        let result = results.into_iter().nth(wanted.result).ok_or_else(|| {
            located(format!(
                "has one result, and number {} is read",
                wanted.result + 1
            ))
        })?;
        done.insert(wanted, result);
        stack.pop();
    }
    let outputs = network.outputs.iter().filter_map(|output| done.get(output));
    Ok(outputs.cloned().collect())
}

fn build(site: &mut KerasSite<'_, '_>) -> Made {
    let name = site.layer.class.as_str();
    let mut classes = FAMILIES.into_iter().flatten();
    match classes.find(|class| class.name == name) {
        Some(class) => (class.build)(site),
        None => {
            let known = FAMILIES.into_iter().flatten().map(|class| class.name);
            Err(format!(
                "is not supported; export the model as ONNX{}",
                did_you_mean(name, known)
            ))
        }
    }
}
