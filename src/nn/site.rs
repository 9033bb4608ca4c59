//! The context in which a layer is built: the properties that it can query, and the declaration of its weights.

use super::attributes::Activation;
use super::features::FeatureOrder;
use super::forward::{Forward, Mode};
use super::init::{NamedInit, WeightInit, bias};
use super::input::TokenInput;
use super::lora::{Adapter, Lora};
use super::parameter::{Init, Layout, Parameter, PositionTable};
use super::sizes::DataSizes;
use super::time::{Padding, Text};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::tensor::{LARGEST_COUNT, Shape, TensorType};
use std::sync::Arc;

/// Weights and state of a network, in the order of its layers.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    pub parameters: Vec<Parameter>,
    pub buffers: Vec<Parameter>,
    /// Names of counters of steps.
    pub counters: Vec<String>,
    /// Second names of weights, and the weights.
    pub aliases: Vec<(String, String)>,
    /// Low-rank adapters of weights.
    pub adapters: Vec<Adapter>,
}

/// The context in which a layer is built.
pub struct Site<'g, 'd> {
    /// The graph.
    pub builder: &'g Builder,
    /// The forward passes of the graph.
    pub cx: &'d mut Forward<'g>,
    /// The order of the features of its first input.
    pub order: FeatureOrder,
    /// The tokens that its input comes from, if it comes from tokens.
    pub(super) text: Option<Text<'g>>,
    /// The tokens that the sequence comes from that a layer reads in addition to its own.
    pub(super) memory: Option<Text<'g>>,
    /// Full name in the graph.
    pub(super) name: &'d str,
    /// Prefix of all variables of the model.
    pub(super) prefix: &'d str,
    pub(super) weight_init: WeightInit,
    /// The sizes of the data for units that name one.
    pub(super) sizes: DataSizes,
    /// Positions that tables have a row for, if these are more than its input has.
    pub(super) positions: Option<usize>,
    /// Low-rank adapters of dense layers.
    pub(super) lora: Option<&'d Lora>,
    pub(super) declared: &'d mut Declared,
}

impl<'g> Site<'g, '_> {
    /// The error of a layer that does not fit its input.
    pub fn misfit(message: impl Into<String>) -> Error {
        Error::Shape {
            layer: String::new(),
            op: "layer",
            message: message.into(),
            location: String::new(),
        }
    }

    /// The mode.
    pub fn mode(&self) -> Mode<'g> {
        self.cx.mode()
    }

    /// The token input that its input comes from, if any.
    pub fn tokens(&self) -> Option<TokenInput> {
        self.text.map(|text| text.input)
    }

    /// The rows of a table of positions for `time` of them: more in a pass over the first positions of longer sequences, or over one.
    pub fn positions(&self, time: usize) -> usize {
        let decoded = self.cx.decode_step().map(|step| step.positions);
        decoded.or(self.positions).unwrap_or(time)
    }

    /// The rows of the `table` of positions that this pass is over: the first `time`, or the one of each sequence that is decoded,
    /// `[sequences, width]`.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn positioned(&self, table: Var<'g>, time: usize) -> Result<Var<'g>> {
        match self.cx.decode_step() {
            Some(step) => table.gather(step.place),
            None if table.shape().dims()[0] > time => table.slice_axis(0, 0..time),
            None => Ok(table),
        }
    }

    /// Whether its parameter `part` is not trained.
    pub fn is_frozen(&self, part: &str) -> bool {
        self.cx.is_frozen(&format!("{}.{part}", self.name))
    }

    /// Whether its input comes from tokens that may end in padding.
    pub fn is_padded(&self) -> bool {
        self.text.is_some_and(|text| text.padding.is_some())
    }

    /// The layout in files of a parameter whose last axis is the features of the first input.
    pub fn layout(&self) -> Layout {
        match self.order.is_same() {
            true => Layout::Same,
            false => Layout::Features(self.order.clone()),
        }
    }

    /// Initialisation of the weights of this layer: `own`, or that of the model.
    pub fn weight_init(&self, own: Option<WeightInit>) -> WeightInit {
        own.unwrap_or(self.weight_init)
    }

    /// Where samples end, for a layer over `time` positions; `None` if they have no padding.
    ///
    /// # Errors
    /// If the positions are no longer those of the tokens.
    pub fn padding(&self, time: usize) -> Result<Option<Padding<'g>>> {
        Self::padding_of(self.text, time)
    }

    /// Where the samples of the other sequence end, which has `time` positions.
    ///
    /// # Errors
    /// As [`padding`](Site::padding).
    pub fn memory_padding(&self, time: usize) -> Result<Option<Padding<'g>>> {
        Self::padding_of(self.memory, time)
    }

    fn padding_of(text: Option<Text<'g>>, time: usize) -> Result<Option<Padding<'g>>> {
        let padding = text.and_then(|text| Some((text.input, text.padding?)));
        match padding {
            Some((input, _)) if input.tokens != time => Err(Site::misfit(format!(
                "it takes {time} positions, but padding is only known for all {} positions of the tokens",
                input.tokens
            ))),
            padding => Ok(padding.map(|(_, padding)| padding)),
        }
    }

    /// Declares a trainable tensor `LAYER.part`.
    ///
    /// # Errors
    /// If it has 2^31 elements or more.
    pub fn parameter(
        &mut self,
        part: &str,
        dims: &[usize],
        init: Init,
        layout: Layout,
    ) -> Result<Var<'g>> {
        let (parameter, variable) = self.declare(part, dims, init, layout)?;
        self.declared.parameters.push(parameter);
        Ok(variable)
    }

    /// `x Wᵀ` for a new weight `LAYER.part`, `[units, features]`, to which its low-rank adapter is added, if it has one.
    ///
    /// # Errors
    /// If the weight has 2^31 elements or more, or a node can't be built.
    pub fn linear(
        &mut self,
        x: Var<'g>,
        part: &str,
        units: usize,
        init: Init,
        layout: Layout,
    ) -> Result<Var<'g>> {
        let features = x.shape().last();
        let weight = self.parameter(part, &[units, features], init, layout.clone())?;
        let y = x.linear(weight)?;
        let target = Adapter::target(self.name, part);
        let Some(lora) = self.lora.filter(|lora| lora.layers.match_name(&target)) else {
            return Ok(y);
        };
        let adapter = Adapter::of(self.name, part);
        let [down, up] = adapter.parts(self.name);
        let random = WeightInit::from(NamedInit::Pytorch).weights(features, lora.rank);
        let down = self.parameter(&down, &[lora.rank, features], random, layout)?;
        let zeros = Init::Constant(0.0);
        let up = self.parameter(&up, &[units, lora.rank], zeros, Layout::Same)?;
        self.declared.adapters.push(adapter);
        y.add(x.linear(down)?.linear(up)?.scale(lora.scale())?)
    }

    /// Declares a buffer `LAYER.part`: not trained, saved with the weights, and updated only by training steps.
    ///
    /// # Errors
    /// If it has 2^31 elements or more.
    pub fn buffer(
        &mut self,
        part: &str,
        dims: &[usize],
        init: Init,
        layout: Layout,
    ) -> Result<Var<'g>> {
        let (buffer, variable) = self.declare(part, dims, init, layout)?;
        self.declared.buffers.push(buffer);
        Ok(variable)
    }

    /// Declares a table of constants that follow from its shape: neither trained nor stored in files.
    ///
    /// # Errors
    /// If it has 2^31 elements or more.
    pub fn table(&mut self, part: &str, dims: [usize; 2], table: PositionTable) -> Result<Var<'g>> {
        self.buffer(part, &dims, Init::Table(table), Layout::Same)
    }

    /// Shares the weight of the layer `other`.
    ///
    /// # Errors
    /// If there is no such layer above, or its weight has another shape than `dims` or its features in another order.
    pub fn tied(&mut self, other: &str, dims: &[usize]) -> Result<Var<'g>> {
        let name = join(self.prefix, &format!("{other}.weight"));
        let weight = self.declared.parameters.iter().find(|p| p.name == name);
        let Some(weight) = weight else {
            return Err(Site::misfit(format!(
                "it is tied to {other}, but no layer above of that name has a weight"
            )));
        };
        if weight.ty.dims() != dims {
            return Err(Site::misfit(format!(
                "it is tied to {other}, whose weight is {}, but it needs {}",
                weight.ty.shape,
                Shape::from(dims)
            )));
        }
        if weight.layout != self.layout() {
            return Err(Site::misfit(format!(
                "it is tied to {other}, whose weight has its features in another order; a flattened image has a different order"
            )));
        }
        let variable = self.builder.variable(&name, weight.ty.clone())?;
        let own = format!("{}.weight", self.name);
        self.declared.aliases.push((own, name));
        Ok(variable)
    }

    /// Declares that files hold the number of training steps as `LAYER.part`.
    pub fn counter(&mut self, part: &str) {
        let name = format!("{}.{part}", self.name);
        self.declared.counters.push(name);
    }

    /// `y` with a bias `LAYER.bias` per channel, if it has one, and the activation.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn finish(
        &mut self,
        y: Var<'g>,
        outputs: usize,
        bias_init: Option<Init>,
        activation: Activation,
    ) -> Result<Var<'g>> {
        let y = match bias_init {
            Some(init) => y.add(self.parameter("bias", &[outputs], init, Layout::Same)?)?,
            None => y,
        };
        activation.apply(y)
    }

    /// Initialisation of the bias: `None` if there is none.
    pub fn bias_init(
        &self,
        has_bias: bool,
        own: Option<f64>,
        weights: WeightInit,
        fan_in: usize,
    ) -> Option<Init> {
        has_bias.then(|| bias(own, weights, fan_in))
    }

    fn declare(
        &self,
        part: &str,
        dims: &[usize],
        init: Init,
        layout: Layout,
    ) -> Result<(Parameter, Var<'g>)> {
        let name = format!("{}.{part}", self.name);
        if !countable(dims) {
            return Err(Error::Config(format!(
                "{name} would be {}, which is 2^31 numbers or more; make layer {} smaller",
                Shape::from(dims),
                self.name
            )));
        }
        let ty = TensorType::f32(dims);
        let variable = self.builder.variable(&name, ty.clone())?;
        let parameter = Parameter {
            name,
            ty,
            init,
            layout,
            given: None,
        };
        Ok((parameter, variable))
    }

    /// Declares a tensor of a network from a file: its name there, its value in the engine, and whether it is trained.
    pub fn given(&mut self, name: &str, value: Tensor<f32>, layout: Layout, is_trained: bool) {
        let list = match is_trained {
            true => &mut self.declared.parameters,
            false => &mut self.declared.buffers,
        };
        let name = join(self.prefix, name);
        if list.iter().all(|parameter| parameter.name != name) {
            list.push(Parameter {
                name,
                ty: value.ty(),
                init: Init::Constant(0.0),
                layout,
                given: Some(Arc::new(value)),
            });
        }
    }

    /// Prefix of the names of all variables, with its dot; may be empty.
    pub fn prefix(&self) -> String {
        match self.prefix {
            "" => String::new(),
            prefix => format!("{prefix}."),
        }
    }
}

/// `prefix.name`, or `name` alone.
pub(super) fn join(prefix: &str, name: &str) -> String {
    match prefix {
        "" => name.to_string(),
        _ => format!("{prefix}.{name}"),
    }
}

/// Whether a tensor of these extents has at least one element and fewer than 2^31.
pub(super) fn countable(dims: &[usize]) -> bool {
    let product = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    product.is_some_and(|n| (1..=LARGEST_COUNT).contains(&n))
}
