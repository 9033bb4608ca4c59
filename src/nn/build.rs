//! Building the graph of a model, layer by layer.

use super::layer::{Activation, Layer, LayerKind, ModelSpec, PaddingSpec, Pair, bounded};
use super::parameter::{Init, Layout, Parameter};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::avg_pool2d::AvgPool2d;
use crate::ops::conv2d::Conv2d;
use crate::ops::max_pool2d::MaxPool2d;
use crate::settings::LARGEST_COUNT;
use crate::tensor::{Shape, TensorType};

/// Whether a network is built for training or for use.
#[derive(Clone, Copy)]
pub enum Mode<'g> {
    /// Dropout drops; its masks follow from the seed and the step.
    Train {
        /// Number of the step: a scalar input of type u32.
        step: Var<'g>,
        /// Seed of the run.
        seed: u64,
    },
    /// Nothing is random.
    Eval,
}

/// A model that was checked: every layer fits the one before it.
#[derive(Clone, Debug)]
pub struct Network {
    /// As written.
    pub spec: ModelSpec,
    /// Trainable weights in the order of the layers.
    pub parameters: Vec<Parameter>,
    /// Shape of what each layer gives, without the batch.
    pub shapes: Vec<Vec<usize>>,
    /// Length of the logits.
    pub classes: usize,
}

impl Network {
    /// Checks `spec`.
    ///
    /// # Errors
    /// If a layer does not fit the one before it; the message names both and their shapes.
    pub fn new(spec: ModelSpec) -> Result<Network> {
        if spec.input.is_empty() {
            return Err(Error::Config(format!(
                "model {} takes its input from the data, which are not known here; give it a shape in place of \"auto\"",
                spec.name
            )));
        }
        if !countable(&spec.input) {
            return Err(Error::Config(format!(
                "model {}: input {:?} is no shape: give it numbers from 1 whose product is below 2^31",
                spec.name, spec.input
            )));
        }
        if spec.layers.is_empty() {
            return Err(Error::Config(format!(
                "model {} has no layers; give it at least a dense layer",
                spec.name
            )));
        }
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32([&[1], &spec.input[..]].concat()));
        let mut network = Network {
            spec,
            parameters: Vec::new(),
            shapes: Vec::new(),
            classes: 0,
        };
        let mut parameters = Vec::new();
        let mut shapes = Vec::new();
        let logits = network.walk(x, Mode::Eval, &mut parameters, &mut shapes)?;
        let shape = logits.shape();
        let &[1, classes] = shape.dims() else {
            return Err(Error::Config(format!(
                "model {}: the last layer gives {} for each sample; end with a dense layer of one unit for each class",
                network.spec.name,
                Shape::from(&shape.dims()[1..])
            )));
        };
        (network.parameters, network.shapes, network.classes) = (parameters, shapes, classes);
        Ok(network)
    }

    /// Logits `[N, classes]` of `x [N, ...input]`. Weights are variables under the parameters' names.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn forward<'g>(&self, x: Var<'g>, mode: Mode<'g>) -> Result<Var<'g>> {
        self.walk(x, mode, &mut Vec::new(), &mut Vec::new())
    }

    /// Number of trainable numbers.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|p| p.ty.elements()).sum()
    }

    fn walk<'g>(
        &self,
        x: Var<'g>,
        mode: Mode<'g>,
        parameters: &mut Vec<Parameter>,
        shapes: &mut Vec<Vec<usize>>,
    ) -> Result<Var<'g>> {
        let names = self.spec.layer_names()?;
        let mut walk = Walk {
            builder: x.builder(),
            mode,
            parameters,
            flattened: None,
            dropouts: 0,
        };
        let mut x = x;
        let mut before = "the input".to_string();
        for (layer, name) in self.spec.layers.iter().zip(&names) {
            let _scope = walk.builder.scope(name);
            x = walk.layer(layer, name, x).map_err(|e| match e {
                Error::Shape { message, .. } => Error::Config(format!(
                    "model {}: layer {name} does not fit {before}, which gives {} for each sample: {message}",
                    self.spec.name,
                    Shape::from(&x.shape().dims()[1..])
                )),
                other => other,
            })?;
            shapes.push(x.shape().dims()[1..].to_vec());
            before = format!("layer {name}");
        }
        Ok(x)
    }
}

struct Walk<'g, 'p> {
    builder: &'g Builder,
    mode: Mode<'g>,
    parameters: &'p mut Vec<Parameter>,
    /// What the last flatten took, until a dense layer has used it.
    flattened: Option<[usize; 3]>,
    dropouts: u32,
}

impl<'g> Walk<'g, '_> {
    fn layer(&mut self, layer: &Layer, name: &str, x: Var<'g>) -> Result<Var<'g>> {
        let shape = x.shape();
        fn misfit(message: impl Into<String>) -> Error {
            Error::Shape {
                layer: String::new(),
                op: "layer",
                message: message.into(),
                location: String::new(),
            }
        }
        match &layer.kind {
            LayerKind::Conv2d {
                filters,
                kernel,
                stride,
                padding,
                dilation,
                groups,
                bias,
                activation,
            } => {
                let &[_, _, _, channels] = shape.dims() else {
                    return Err(misfit(
                        "it takes [height, width, channels]; put it before any flatten or dense layer",
                    ));
                };
                let [kh, kw] = kernel.each();
                bounded(1, "kernel", &kernel.each()).map_err(misfit)?;
                bounded(1, "stride", &stride.each()).map_err(misfit)?;
                bounded(1, "dilation", &dilation.each()).map_err(misfit)?;
                bounded(1, "filters", &[*filters]).map_err(misfit)?;
                bounded(1, "groups", &[*groups]).map_err(misfit)?;
                padding.check().map_err(misfit)?;
                let conv = Conv2d {
                    stride: stride.each(),
                    padding: padding.sides([kh, kw], dilation.each()),
                    dilation: dilation.each(),
                    groups: *groups,
                };
                if !channels.is_multiple_of(*groups) || !filters.is_multiple_of(*groups) {
                    return Err(misfit(format!(
                        "its {groups} groups must divide the {channels} channels and its {filters} filters"
                    )));
                }
                let (taps, own) = (kh * kw, channels / groups);
                let init = Init::GlorotUniform {
                    fan_in: taps.saturating_mul(own),
                    fan_out: taps.saturating_mul(filters / groups),
                };
                let w =
                    self.parameter(name, "weight", &[*filters, kh, kw, own], init, Layout::Conv)?;
                let y = x.conv2d(w, conv)?;
                self.finish(y, name, *filters, *bias, *activation)
            }
            LayerKind::MaxPool2d {
                size,
                stride,
                padding,
            } => {
                let [kernel, stride] = window(*size, *stride, *padding).map_err(misfit)?;
                x.max_pool2d(MaxPool2d {
                    kernel,
                    stride,
                    padding: padding.sides(kernel, [1, 1]),
                })
            }
            LayerKind::AvgPool2d {
                size,
                stride,
                padding,
            } => {
                let [kernel, stride] = window(*size, *stride, *padding).map_err(misfit)?;
                x.avg_pool2d(AvgPool2d {
                    kernel,
                    stride,
                    padding: padding.sides(kernel, [1, 1]),
                    count_include_pad: false,
                })
            }
            LayerKind::GlobalAvgPool2d {} => {
                let &[_, _, _, _] = shape.dims() else {
                    return Err(misfit("it takes [height, width, channels]"));
                };
                x.mean(&[1, 2])
            }
            LayerKind::Flatten {} => {
                if let &[_, height, width, channels] = shape.dims() {
                    self.flattened = Some([height, width, channels]);
                }
                let batch = shape.dims()[0];
                x.reshape([batch, shape.elements() / batch])
            }
            LayerKind::Dense {
                units,
                bias,
                activation,
            } => {
                let &[_, inputs] = shape.dims() else {
                    return Err(misfit(
                        "it takes one row of features; put a flatten layer before it",
                    ));
                };
                bounded(1, "units", &[*units]).map_err(misfit)?;
                let layout = match self.flattened.take() {
                    Some(image) => Layout::DenseAfterFlatten { image },
                    None => Layout::Same,
                };
                let init = Init::GlorotUniform {
                    fan_in: inputs,
                    fan_out: *units,
                };
                let w = self.parameter(name, "weight", &[*units, inputs], init, layout)?;
                let y = x.linear(w)?;
                self.finish(y, name, *units, *bias, *activation)
            }
            LayerKind::Dropout { rate } => {
                if !(0.0..1.0).contains(rate) {
                    return Err(misfit("its rate must be at least 0 and below 1"));
                }
                let stream = self.dropouts;
                self.dropouts += 1;
                match self.mode {
                    Mode::Train { step, seed } => x.dropout(step, *rate, seed, stream),
                    Mode::Eval => Ok(x),
                }
            }
            LayerKind::Activation { function } => activate(x, *function),
        }
    }

    fn finish(
        &mut self,
        y: Var<'g>,
        name: &str,
        outputs: usize,
        bias: bool,
        activation: Activation,
    ) -> Result<Var<'g>> {
        let y = if bias {
            y.add(self.parameter(name, "bias", &[outputs], Init::Zeros, Layout::Same)?)?
        } else {
            y
        };
        activate(y, activation)
    }

    fn parameter(
        &mut self,
        layer: &str,
        part: &str,
        dims: &[usize],
        init: Init,
        layout: Layout,
    ) -> Result<Var<'g>> {
        let name = format!("{layer}.{part}");
        if !countable(dims) {
            return Err(Error::Config(format!(
                "{name} would be {}, which is 2^31 numbers or more; make layer {layer} smaller",
                Shape::from(dims)
            )));
        }
        let ty = TensorType::f32(dims);
        let variable = self.builder.variable(&name, ty.clone())?;
        self.parameters.push(Parameter {
            name,
            ty,
            init,
            layout,
        });
        Ok(variable)
    }
}

/// Whether a tensor of these extents has at least one element and fewer than 2^31.
fn countable(dims: &[usize]) -> bool {
    let product = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    product.is_some_and(|n| (1..=LARGEST_COUNT).contains(&n))
}

/// Extents and steps of a pooling's windows.
fn window(
    size: Pair,
    stride: Option<Pair>,
    padding: PaddingSpec,
) -> Result<[[usize; 2]; 2], String> {
    let stride = stride.unwrap_or(size);
    bounded(1, "size", &size.each())?;
    bounded(1, "stride", &stride.each())?;
    padding.check()?;
    Ok([size.each(), stride.each()])
}

fn activate(x: Var<'_>, function: Activation) -> Result<Var<'_>> {
    match function {
        Activation::None => Ok(x),
        Activation::Relu => x.relu(),
        Activation::LeakyRelu => x.leaky_relu(0.01),
        Activation::Gelu => x.gelu(),
        Activation::GeluTanh => x.gelu_tanh(),
        Activation::Silu => x.silu(),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => x.sigmoid(),
    }
}
