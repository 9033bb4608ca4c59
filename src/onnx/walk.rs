//! Builds the graph of an ONNX file, node by node.
//!
//! A node whose operands are all known on the host is computed there and then, by the same code: its operator builds a graph of
//! its own, which the reference runs in 64 bits. Shapes that a file computes, and its integers, are thus numbers before the graph
//! is planned.

use super::array::Array;
use super::call::Call;
use super::element::Element;
use super::file::{Nodes, OnnxFile};
use super::messages::NodeProto;
use super::operators;
use super::value::{Held, NodeValue, inverse};
use crate::cpu::{Tensor, interpret};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::{Forward, Layout};
use crate::tensor::{DType, Shape, TensorType};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Functions and branches may be nested this deeply.
const DEEPEST: usize = 40;

/// Values by name.
pub type Names<'g> = HashMap<String, NodeValue<'g>>;

/// A graph under construction.
pub struct Walk<'w, 'g> {
    /// The graph.
    pub builder: &'g Builder,
    /// Mode and random streams of the pass; `None` on the host.
    pub cx: Option<&'w mut Forward<'g>>,
    /// The file.
    pub file: &'w OnnxFile,
    /// Layouts of stored constants that are not those of the file, by name.
    pub layouts: &'w HashMap<String, Layout>,
    /// Prefix of the names of variables, with its dot; may be empty.
    pub prefix: &'w str,
    /// The variables that were read, with their elements in the layout of the file.
    pub variables: BTreeMap<String, Arc<Array>>,
    /// Whether nodes that the file marks as being in training are so also outside of training.
    pub follows_file: bool,
    /// The number of samples that the file was exported for, and the one that is fed, if they differ.
    pub samples: Option<[usize; 2]>,
    /// Depth of the nodes under construction.
    depth: usize,
}

impl<'w, 'g> Walk<'w, 'g> {
    /// An empty graph.
    pub fn new(
        builder: &'g Builder,
        cx: Option<&'w mut Forward<'g>>,
        file: &'w OnnxFile,
        layouts: &'w HashMap<String, Layout>,
        prefix: &'w str,
    ) -> Walk<'w, 'g> {
        Walk {
            builder,
            cx,
            file,
            layouts,
            prefix,
            variables: BTreeMap::new(),
            follows_file: false,
            samples: None,
            depth: 0,
        }
    }

    /// Builds `nodes`, which read and name values in `names`.
    ///
    /// # Errors
    /// Names the node that can't be built.
    pub fn nodes(&mut self, nodes: &Nodes, names: &mut Names<'g>) -> Result<()> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Error::Config(format!(
                "{}: functions and branches are nested more than {DEEPEST} deep",
                self.file.path.display()
            )));
        }
        for node in nodes.needed() {
            let outputs = self.node(node, names).map_err(|e| self.located(e, node))?;
            for (name, value) in node.output.iter().zip(outputs) {
                if !name.is_empty() {
                    names.insert(name.clone(), value);
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The results of `node`.
    fn node(&mut self, node: &NodeProto, names: &mut Names<'g>) -> Result<Vec<NodeValue<'g>>> {
        let operand = |name: &String| match name.is_empty() {
            true => Ok(None),
            false => names.get(name).cloned().map(Some).ok_or_else(|| {
                Error::Config(format!("reads {name}, which no node before it makes"))
            }),
        };
        let inputs: Vec<Option<NodeValue<'g>>> =
            node.input.iter().map(operand).collect::<Result<_>>()?;
        if let Some(function) = self.file.function(node) {
            return self.function(function, node, inputs);
        }
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err(Error::Config(format!(
                "its operator set {} is not supported; export the network with ONNX's own operators",
                node.domain
            )));
        }
        if node.op_type == "If" {
            return operators::branch(self, node, &inputs, names);
        }
        let operator = operators::find(&node.op_type).ok_or_else(|| {
            Error::Config(
                "this operator is not supported; replace it in the network, or cut the file before it"
                    .to_string(),
            )
        })?;
        let is_known =
            |value: &Option<NodeValue<'_>>| value.as_ref().is_none_or(NodeValue::is_known);
        if self.cx.is_some()
            && inputs.iter().all(is_known)
            && let Some(values) = self.folded(operator, node, &inputs)?
        {
            return Ok(values);
        }
        let scope = match node.name.is_empty() {
            true => node.op_type.as_str(),
            false => node.name.as_str(),
        };
        let _scope = self.builder.scope(scope);
        (operator.build)(&mut Call {
            walk: self,
            node,
            inputs,
        })
    }

    /// The results of `node` on known operands, computed on the host; `None` if they are too large.
    fn folded(
        &mut self,
        operator: &operators::Operator,
        node: &NodeProto,
        inputs: &[Option<NodeValue<'g>>],
    ) -> Result<Option<Vec<NodeValue<'g>>>> {
        let builder = Builder::new();
        let mut walk = Walk::new(&builder, None, self.file, self.layouts, self.prefix);
        let known = |value: &Option<NodeValue<'g>>| {
            let value = value.as_ref()?;
            let array = value.array()?.clone();
            Some(NodeValue {
                element: value.element,
                dims: value.dims.clone(),
                place: Held::Known(array),
            })
        };
        let mut call = Call {
            walk: &mut walk,
            node,
            inputs: inputs.iter().map(known).collect(),
        };
        let values = (operator.build)(&mut call)?;
        if values
            .iter()
            .any(|v| v.elements() > operators::MOST_ON_HOST)
        {
            return Ok(None);
        }
        let mut results = Vec::new();
        for value in values {
            results.push(match &value.place {
                Held::Known(array) | Held::Stored { array, .. } => Ok(array.clone()),
                Held::Live { .. } => {
                    let var = walk.var(&value)?;
                    builder.output(&results.len().to_string(), var);
                    Err((value.element, value.dims.clone()))
                }
            });
        }
        let variables = std::mem::take(&mut walk.variables);
        drop(walk);
        let mut variables: HashMap<String, Arc<Tensor<f64>>> = variables
            .into_iter()
            .map(|(name, array)| {
                let shape = Shape::from(&array.dims[..]);
                let tensor = Tensor::real(shape, array.iter().collect());
                (name, Arc::new(tensor))
            })
            .collect();
        let graph = builder.finish()?;
        let mut computed = interpret(&graph, &mut variables, &HashMap::new())?.into_iter();
        let values = results.into_iter().map(|result| match result {
            Ok(array) => Some(NodeValue {
                element: array.element,
                dims: array.dims.clone(),
                place: Held::Known(array),
            }),
            Err((element, dims)) => {
                let tensor = computed.next()?;
                let numbers: Vec<f64> = match tensor.dtype() {
                    DType::F32 => tensor.reals().iter().map(|&x| element.nearest(x)).collect(),
                    DType::U32 => tensor.indices().iter().map(|&x| f64::from(x)).collect(),
                };
                Some(NodeValue::known(Array::new(element, dims, numbers)))
            }
        });
        Ok(values.collect())
    }

    /// The results of a call of `function`, an operator that the file defines.
    fn function(
        &mut self,
        function: &'w super::file::Function,
        node: &NodeProto,
        inputs: Vec<Option<NodeValue<'g>>>,
    ) -> Result<Vec<NodeValue<'g>>> {
        let mut names = Names::new();
        for (name, value) in function.inputs.iter().zip(inputs) {
            if let Some(value) = value {
                names.insert(name.clone(), value);
            }
        }
        let nodes = function.with_attributes(node)?;
        let _scope = self.builder.scope(&node.op_type);
        self.nodes(&nodes, &mut names)?;
        let results = function.outputs.iter().take(node.output.len());
        let results = results.map(|name| {
            names
                .get(name)
                .cloned()
                .ok_or_else(|| Error::Config(format!("its function has no value {name} to return")))
        });
        results.collect()
    }

    /// An error at `node`, with its name and operator.
    fn located(&self, error: Error, node: &NodeProto) -> Error {
        let why = match error {
            Error::Shape { message, .. } => message,
            Error::Config(message) | Error::Graph(message) => message,
            other => return other,
        };
        // The innermost node was named.
        if why.starts_with(&*self.file.path.to_string_lossy()) {
            return Error::Config(why);
        }
        let name = match (node.name.as_str(), node.output.first()) {
            ("", Some(output)) => format!("that makes {output}"),
            (name, _) => name.to_string(),
        };
        Error::Config(format!(
            "{}: node {name} ({}): {why}",
            self.file.path.display(),
            node.op_type
        ))
    }

    /// `value` in the graph, with the axes of the file, as floats.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn var(&mut self, value: &NodeValue<'g>) -> Result<Var<'g>> {
        let order: Vec<usize> = (0..value.rank()).collect();
        self.var_in(value, &order)
    }

    /// `value` in the graph as floats: axis `a` of the result is axis `order[a]` of the value.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn var_in(&mut self, value: &NodeValue<'g>, order: &[usize]) -> Result<Var<'g>> {
        match &value.place {
            Held::Known(array) => self.constant(&array.permuted(order)),
            Held::Stored { name, array } => {
                let (var, own) = self.stored(name, array)?;
                permuted(var, &own, order)
            }
            Held::Live {
                var, order: own, ..
            } => {
                let var = match var.dtype() {
                    DType::U32 => var.to_float()?,
                    DType::F32 => *var,
                };
                permuted(var, own, order)
            }
        }
    }

    /// `value` in the graph as u32, with the axes of the file. A negative index of an axis of `extent` counts from its end.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn indices(&mut self, value: &NodeValue<'g>, extent: usize) -> Result<Var<'g>> {
        if let Held::Live { var, .. } = &value.place
            && var.dtype() == DType::U32
        {
            return Ok(*var);
        }
        if let Some(array) = value.array() {
            let count = |x: f64| if x < 0.0 { x + extent as f64 } else { x };
            let array = Array::new(
                Element::Uint32,
                array.dims.clone(),
                array.iter().map(count).collect(),
            );
            return self.index_constant(&array);
        }
        let var = self.var(value)?;
        let zero = self.builder.constant(0.0);
        let from_end = self.builder.constant(extent as f64);
        let shift = var.lt(zero)?.mul(from_end)?;
        var.add(shift)?.to_index()
    }

    /// Constant integers.
    ///
    /// # Errors
    /// If one is too large for a float, or a node can't be built.
    pub fn index_constant(&mut self, array: &Array) -> Result<Var<'g>> {
        if array.iter().any(|x| x >= LARGEST_INDEX) {
            return Err(Error::Config(format!(
                "it reads at indices of {LARGEST_INDEX} and above, which is not supported"
            )));
        }
        self.constant(array)?.to_index()
    }

    /// Constant floats. Axes along which nothing changes are not stored: a constant does not depend on the number of samples.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn constant(&mut self, array: &Array) -> Result<Var<'g>> {
        let small = compressed(array);
        let shape = Shape::from(&array.dims[..]);
        let var = match small.len() {
            1 if small.at(0).is_finite() => self.builder.constant(small.at(0)),
            _ => {
                let name = format!("{CONSTANT}{}", digest(&small));
                let ty = TensorType::f32(small.dims.clone());
                self.variable(&name, ty, small)?
            }
        };
        match var.shape() == shape {
            true => Ok(var),
            false if shape.elements() == 1 => var.reshape(shape),
            false => var.broadcast_to(&shape),
        }
    }

    fn variable(&mut self, name: &str, ty: TensorType, array: Array) -> Result<Var<'g>> {
        let name = format!("{}{name}", self.prefix);
        let var = self.builder.variable(&name, ty)?;
        let array = Arc::new(array);
        self.variables.entry(name).or_insert(array);
        Ok(var)
    }

    /// The variable of a stored constant, and the order of its axes.
    ///
    /// # Errors
    /// If its name is that of another variable.
    pub fn stored(&mut self, name: &str, array: &Arc<Array>) -> Result<(Var<'g>, Vec<usize>)> {
        let order: Vec<usize> = match self.layouts.get(name) {
            Some(Layout::Conv) => vec![0, 2, 3, 1],
            _ => (0..array.dims.len()).collect(),
        };
        let dims: Vec<usize> = order.iter().map(|&a| array.dims[a]).collect();
        let name = format!("{}{name}", self.prefix);
        let var = self.builder.variable(&name, TensorType::f32(dims))?;
        let array = array.clone();
        self.variables.entry(name).or_insert(array);
        Ok((var, order))
    }
}

/// Start of the names of constants that are not in the file, or not as they are there.
pub const CONSTANT: &str = "constant.";
/// Integers below this are exact as floats.
const LARGEST_INDEX: f64 = 16_777_216.0;

/// A name for what `array` holds.
fn digest(array: &Array) -> String {
    const CRC: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_XZ);
    let mut digest = CRC.digest();
    for &extent in &array.dims {
        digest.update(&(extent as u64).to_le_bytes());
    }
    for x in array.iter() {
        digest.update(&x.to_le_bytes());
    }
    format!("{:016x}", digest.finalize())
}

/// `var`, whose axes are `own`, with its axes in `order`.
fn permuted<'g>(var: Var<'g>, own: &[usize], order: &[usize]) -> Result<Var<'g>> {
    if own == order {
        return Ok(var);
    }
    let place = inverse(own);
    let axes: Vec<usize> = order.iter().map(|&a| place[a]).collect();
    var.permute(&axes)
}

/// `array` with an extent of 1 along every axis along which nothing changes.
fn compressed(array: &Array) -> Array {
    let mut small = array.clone();
    for axis in 0..small.dims.len() {
        let extent = small.dims[axis];
        if extent < 2 {
            continue;
        }
        let inner: usize = small.dims[axis + 1..].iter().product();
        let block = extent * inner;
        let same = |i: usize| {
            let first = i / block * block + i % inner;
            small.at(i).to_bits() == small.at(first).to_bits()
        };
        if (0..small.len()).all(same) {
            let kept = (0..small.len() / extent).map(|i| i / inner * block + i % inner);
            let numbers = kept.map(|i| small.at(i)).collect();
            let mut dims = small.dims.clone();
            dims[axis] = 1;
            small = Array::new(small.element, dims, numbers);
        }
    }
    small
}
