//! A network in an ONNX file: one input, one output, and its weights.

use super::array::Array;
use super::element::Element;
use super::file::{DeclaredExtent, OnnxFile};
use super::roles::Roles;
use super::value::NodeValue;
use super::walk::{CONSTANT, Walk};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{Forward, InputSpec, Layout, ModelSpec, OnnxLayer, TokenInput};
use crate::tensor::DType;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A network in a file.
#[derive(Debug)]
pub struct OnnxNetwork {
    file: OnnxFile,
    roles: Roles,
}

/// A network that was built in a graph.
pub struct BuiltNetwork<'g> {
    /// Its output for the batch.
    pub output: Var<'g>,
    /// Its variables by name, with their elements as the file has them.
    pub variables: BTreeMap<String, Arc<Array>>,
}

/// A convolution's weights, O-I-KH-KW in files, as the engine has them.
pub fn channels_last(array: &Array) -> Tensor<f32> {
    array.permuted(&[0, 2, 3, 1]).tensor()
}

impl OnnxNetwork {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it can't be read, or is damaged.
    pub fn read(path: &Path) -> Result<OnnxNetwork> {
        let file = OnnxFile::read(path)?;
        let roles = Roles::of(&file);
        Ok(OnnxNetwork { file, roles })
    }

    /// The file.
    pub fn file(&self) -> &OnnxFile {
        &self.file
    }

    /// Whether the constant `name` is trained.
    pub fn is_weight(&self, name: &str) -> bool {
        self.roles.weights.contains(name)
    }

    /// The layout of the constant `name` in the engine.
    pub fn layout(&self, name: &str) -> Layout {
        self.roles
            .layouts
            .get(name)
            .cloned()
            .unwrap_or(Layout::Same)
    }

    fn refused(&self, why: impl Into<String>) -> Error {
        let why = why.into();
        Error::Config(format!("{}: {why}", self.file.path.display()))
    }

    /// Builds the network on the batch `x` up to the value `until`, by default its first output; the softmax of an output is left
    /// out, because losses contain it. Names of variables begin with `prefix`.
    ///
    /// # Errors
    /// Names the node that can't be built.
    pub fn build<'g>(
        &self,
        cx: &mut Forward<'g>,
        prefix: &str,
        x: Var<'g>,
        until: Option<&str>,
    ) -> Result<BuiltNetwork<'g>> {
        let [input] = &self.file.inputs[..] else {
            let names: Vec<&str> = self.file.inputs.iter().map(|i| i.name.as_str()).collect();
            return Err(self.refused(format!(
                "a layer takes one input, and this network has {}: {}; export it with one, or compute it with wgrad run",
                names.len(),
                names.join(", ")
            )));
        };
        let element = input.element.unwrap_or(Element::Float);
        let is_turned = !self.file.channels_last;
        let value = match x.shape().rank() {
            4 if is_turned => NodeValue::ordered(element, x, &[0, 2, 3, 1]),
            _ => NodeValue::live(element, x),
        };
        if element.is_float() == (x.dtype() == DType::U32) {
            return Err(self.refused(format!(
                "its input {} is of type {element}, and {} are given",
                input.name,
                if element.is_float() {
                    "tokens"
                } else {
                    "numbers"
                }
            )));
        }
        if let Some(declared) = &input.dims {
            let fits =
                declared.len() == value.rank()
                    && declared.iter().zip(&value.dims).skip(1).all(
                        |(d, have)| !matches!(d, DeclaredExtent::Fixed(extent) if extent != have),
                    );
            if !fits {
                return Err(self.refused(format!(
                    "its input {} is {}, and samples of {:?} are given; resize the data, or export the network for them",
                    input.name,
                    input.shape_in_words(),
                    &value.dims[1..]
                )));
            }
        }
        let exported = input.dims.as_ref().and_then(|dims| dims.first());
        let samples = match (exported, value.dims.first()) {
            (Some(DeclaredExtent::Fixed(exported)), Some(&fed)) if *exported != fed => {
                Some([*exported, fed])
            }
            _ => None,
        };
        let output = self.output(until);
        let nodes = self.file.nodes_until(&output)?;
        let builder = cx.builder();
        let mut names = self.roles.constants(&self.file);
        names.insert(input.name.clone(), value);
        let mut walk = Walk::new(builder, Some(cx), &self.file, &self.roles.layouts, prefix);
        walk.samples = samples;
        walk.nodes(&nodes, &mut names)?;
        let value = names
            .get(&output)
            .cloned()
            .ok_or_else(|| self.refused(format!("no node makes its output {output}")))?;
        let output = match value.rank() {
            4 if is_turned => walk.var_in(&value, &[0, 2, 3, 1])?,
            _ => walk.var(&value)?,
        };
        let constant = |name: &str| {
            name.strip_prefix(prefix)
                .unwrap_or(name)
                .starts_with(CONSTANT)
        };
        // Files of weights hold finite numbers; a mask of the lowest number hides as well as minus infinity does.
        let variables = walk.variables.into_iter().map(|(name, array)| {
            let is_finite = array.iter().all(f64::is_finite);
            match is_finite || !constant(&name) {
                true => (name, array),
                false => {
                    let bound = f64::from(f32::MAX);
                    let numbers = array.iter().map(|x| x.clamp(-bound, bound)).collect();
                    let array = Array::new(Element::Float, array.dims.clone(), numbers);
                    (name, Arc::new(array))
                }
            }
        });
        Ok(BuiltNetwork {
            output,
            variables: variables.collect(),
        })
    }

    /// The value to build: `until`, or the first output without its softmax.
    fn output(&self, until: Option<&str>) -> String {
        if let Some(until) = until {
            return until.to_string();
        }
        let name = self.file.outputs.first().map_or("", |o| o.name.as_str());
        match self.file.maker(name) {
            Some(node) if node.op_type == "Softmax" && !node.input.is_empty() => {
                node.input[0].clone()
            }
            _ => name.to_string(),
        }
    }

    /// The model that is this network: its input as the file declares it, and one layer.
    ///
    /// # Errors
    /// If its input can't be that of a model.
    pub fn spec(&self) -> Result<ModelSpec> {
        let path = &self.file.path;
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let input = self.input_spec()?;
        let mut spec = ModelSpec::new(name.unwrap_or_default(), input);
        let layer = OnnxLayer::new(path.clone(), None);
        spec.layers.push(crate::nn::Layer::new(layer));
        Ok(spec)
    }

    /// The input of a sample.
    fn input_spec(&self) -> Result<InputSpec> {
        let [input] = &self.file.inputs[..] else {
            return Err(self.refused(format!(
                "a model takes one input, and this network has {}; compute it with wgrad run",
                self.file.inputs.len()
            )));
        };
        let dims = input.dims.as_deref().unwrap_or_default();
        let fixed: Option<Vec<usize>> = dims
            .iter()
            .skip(1)
            .map(|extent| match extent {
                DeclaredExtent::Fixed(extent) => Some(*extent),
                DeclaredExtent::Named(_) => None,
            })
            .collect();
        let is_float = input.element.is_none_or(Element::is_float);
        match (is_float, fixed.as_deref()) {
            (false, Some(&[tokens])) => Ok(InputSpec::Tokens(TokenInput::new(
                tokens,
                self.vocabulary(&input.name).unwrap_or(tokens),
            ))),
            (false, _) => Err(self.refused(format!(
                "its input {} is {}; name its number of tokens in a model file: input = {{ tokens = 64, vocabulary = {} }}",
                input.name,
                input.shape_in_words(),
                self.vocabulary(&input.name).unwrap_or(1000)
            ))),
            (true, Some(&[channels, height, width])) if !self.file.channels_last => {
                Ok(InputSpec::Shape(vec![height, width, channels]))
            }
            (true, Some(shape)) if !shape.is_empty() => Ok(InputSpec::Shape(shape.to_vec())),
            (true, _) => Ok(InputSpec::Auto),
        }
    }

    /// Rows of the table that is read at the tokens `input`.
    fn vocabulary(&self, input: &str) -> Option<usize> {
        let mut nodes = self.file.nodes.needed();
        let table = nodes.find(|node| {
            node.op_type == "Gather" && node.input.get(1).is_some_and(|name| name == input)
        })?;
        let array = self.file.constants.get(table.input.first()?)?;
        array.dims.first().copied()
    }
}
