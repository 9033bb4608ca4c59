//! A node under construction: its attributes and operands, as the operators read them.

use super::array::Array;
use super::element::Element;
use super::file::array_of;
use super::messages::{AttributeProto, NodeProto};
use super::value::NodeValue;
use super::walk::Walk;
use crate::error::{Error, Result};
use crate::graph::Var;
use std::sync::Arc;

/// A node under construction.
pub struct Call<'c, 'w, 'g> {
    /// The graph.
    pub walk: &'c mut Walk<'w, 'g>,
    /// The node.
    pub node: &'c NodeProto,
    /// Its operands; `None` for those left out.
    pub inputs: Vec<Option<NodeValue<'g>>>,
}

/// A reason why a node can't be built.
pub fn refused(why: impl Into<String>) -> Error {
    Error::Config(why.into())
}

impl<'g> Call<'_, '_, 'g> {
    /// Version of the operator set.
    pub fn opset(&self) -> i64 {
        self.walk.file.opset
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    /// Whether there is an attribute `name`.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// The integer `name`, or `default`.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i.unwrap_or(0))
    }

    /// The float `name`, or `default`.
    pub fn float(&self, name: &str, default: f64) -> f64 {
        self.attribute(name)
            .map_or(default, |a| f64::from(a.f.unwrap_or(0.0)))
    }

    /// The integers `name`.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|a| a.ints.clone())
    }

    /// The floats `name`.
    pub fn floats(&self, name: &str) -> Option<Vec<f64>> {
        let attribute = self.attribute(name)?;
        Some(attribute.floats.iter().map(|&x| f64::from(x)).collect())
    }

    /// The text `name`, or `default`.
    pub fn text(&self, name: &str, default: &str) -> String {
        let text = self.attribute(name);
        text.map_or(default.to_string(), |a| {
            String::from_utf8_lossy(a.s.as_deref().unwrap_or_default()).into_owned()
        })
    }

    /// The texts `name`.
    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        let texts = self.attribute(name)?.strings.iter();
        Some(
            texts
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect(),
        )
    }

    /// The tensor `name`.
    ///
    /// # Errors
    /// If its elements can't be read.
    pub fn tensor(&self, name: &str) -> Result<Option<Array>> {
        let tensor = self.attribute(name).and_then(|a| a.t.as_ref());
        tensor
            .map(|t| array_of(t, &self.walk.file.path).map_err(refused))
            .transpose()
    }

    /// Operand `at`, if there is one.
    pub fn optional(&self, at: usize) -> Option<&NodeValue<'g>> {
        self.inputs.get(at).and_then(Option::as_ref)
    }

    /// Operand `at`.
    ///
    /// # Errors
    /// If it is missing.
    pub fn input(&self, at: usize) -> Result<NodeValue<'g>> {
        let value = self.optional(at).cloned();
        value.ok_or_else(|| refused(format!("operand {at} is missing")))
    }

    /// Operand `at` in the graph, with the axes of the file.
    ///
    /// # Errors
    /// If it is missing, or a node can't be built.
    pub fn var(&mut self, at: usize) -> Result<Var<'g>> {
        let value = self.input(at)?;
        self.walk.var(&value)
    }

    /// The elements of operand `at`, which must be known before anything runs; `None` if it is left out.
    ///
    /// # Errors
    /// If they are not known.
    pub fn array(&self, at: usize) -> Result<Option<Arc<Array>>> {
        let Some(value) = self.optional(at) else {
            return Ok(None);
        };
        match value.decisive() {
            Some(array) => Ok(Some(array.clone())),
            None => Err(refused(format!(
                "its operand {} must be a constant, because it decides shapes",
                self.node.input[at]
            ))),
        }
    }

    /// The integers of operand `at`.
    ///
    /// # Errors
    /// If they are not known.
    pub fn known_ints(&self, at: usize) -> Result<Option<Vec<i64>>> {
        let array = self.array(at)?;
        Ok(array.map(|array| array.iter().map(|x| x as i64).collect()))
    }

    /// The number that is operand `at`.
    ///
    /// # Errors
    /// If it is not known.
    pub fn known_number(&self, at: usize) -> Result<Option<f64>> {
        let array = self.array(at)?;
        Ok(array
            .filter(|array| !array.is_empty())
            .map(|array| array.at(0)))
    }

    /// The integers of operand `at`, or of the attribute `name` as older operator sets have it.
    ///
    /// # Errors
    /// If the operand is not known.
    pub fn ints_or_operand(&self, name: &str, at: usize) -> Result<Option<Vec<i64>>> {
        match self.ints(name) {
            Some(ints) => Ok(Some(ints)),
            None => self.known_ints(at),
        }
    }

    /// A constant in the graph.
    pub fn constant(&self, value: f64) -> Var<'g> {
        self.walk.builder.constant(value)
    }

    /// An array as a constant of the graph.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn table(&mut self, dims: &[usize], numbers: Vec<f64>) -> Result<Var<'g>> {
        let array = Array::new(Element::Double, dims.to_vec(), numbers);
        self.walk.constant(&array)
    }

    /// The result of an operator that works element by element: `var` with the order of the axes of `like`.
    pub fn like(&self, like: &NodeValue<'g>, element: Element, var: Var<'g>) -> NodeValue<'g> {
        match like.order() {
            Some(order) => NodeValue::ordered(element, var, order),
            None => NodeValue::live(element, var),
        }
    }

    /// Operand `at` in the graph with its own order of axes, as floats.
    ///
    /// # Errors
    /// If it is missing, or a node can't be built.
    pub fn own(&mut self, at: usize) -> Result<(NodeValue<'g>, Var<'g>)> {
        let value = self.input(at)?;
        let order: Vec<usize> = match value.order() {
            Some(order) => order.to_vec(),
            None => (0..value.rank()).collect(),
        };
        let var = self.walk.var_in(&value, &order)?;
        Ok((value, var))
    }
}

/// `axis` of a tensor of `rank` axes; negative ones count from the end.
///
/// # Errors
/// If there is none.
pub fn axis_of(axis: i64, rank: usize) -> Result<usize> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(at) {
        Ok(at) if at < rank => Ok(at),
        _ => Err(refused(format!(
            "there is no axis {axis} in a tensor of {rank} axes"
        ))),
    }
}

/// `axes`, each as [`axis_of`], sorted.
///
/// # Errors
/// If there is none.
pub fn axes_of(axes: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut found: Vec<usize> = axes
        .iter()
        .map(|&axis| axis_of(axis, rank))
        .collect::<Result<_>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
