//! Generates the WGSL of fused pointwise operations, either as a separate kernel or as the epilogue of another.
//!
//! Both iterate over a space, the shape of the results, in steps of one `F`: `vec4<f32>` where four neighbours can be
//! processed at once, `f32` elsewhere. Operands of other shapes are broadcast: their index is computed from the
//! position with extents that are literals in the generated text.

use super::ValueId;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, NodeKind};
use crate::ops::{PointwiseCode, Role};
use crate::passes::FusedGroup;
use crate::tensor::Shape;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A value read by a fused body.
#[derive(Clone, Debug)]
pub struct Read {
    /// Variable of the shader.
    pub name: String,
    /// The value.
    pub value: ValueId,
    /// Whether a single element is read for all elements of a position, not an `F`.
    pub splat: bool,
    /// Whether the binding is a uniform.
    pub uniform: bool,
    /// `vec4` loads over the whole iteration space.
    pub loads: u64,
}

/// Where the value of a node outside the group, or of a result, is stored.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The value.
    pub value: ValueId,
    /// Whether it is a single element that fits in a uniform binding, which is far cheaper to read in all invocations.
    pub uniform: bool,
}

/// The body of a fused kernel: statements over `i`, the position in units of `F`.
#[derive(Clone, Debug)]
pub struct Body {
    /// Imports of the functions that the body calls.
    pub imports: BTreeSet<String>,
    /// Values to bind, except for those that an earlier body in the same kernel binds.
    pub reads: Vec<Read>,
    /// Statements that load the operands and compute every member.
    pub statements: String,
    /// For each result, its value and the name of the local variable that holds it.
    pub results: Vec<(ValueId, String)>,
    /// Whether `F` is `vec4<f32>`.
    pub vec4: bool,
    /// Size of the iteration space in steps of `F`.
    pub steps: usize,
    prefix: &'static str,
}

impl Body {
    /// Generates the body of `group`. `place_of` locates nodes outside the group, and each result. `vec4` selects `F`;
    /// [`Body::vectorizes`] tells whether it may be `vec4<f32>`. In an epilogue the anchor's value is the argument
    /// `value`. The body shares variable names and single elements with the bodies `before` it in the same kernel.
    ///
    /// # Errors
    /// If a member is not pointwise: a defect.
    pub fn new(
        graph: &Graph,
        group: &FusedGroup,
        vec4: bool,
        before: &[Body],
        place_of: impl Fn(NodeId) -> Result<Place>,
    ) -> Result<Self> {
        let space = space(graph, group)?;
        let outside = outside_operands(graph, group);
        let prefix = if group.anchor.is_some() { "e" } else { "x" };
        let mut body = Body {
            imports: BTreeSet::new(),
            reads: Vec::new(),
            statements: String::new(),
            results: Vec::new(),
            vec4,
            steps: if vec4 {
                space.elements().div_ceil(4)
            } else {
                space.elements()
            },
            prefix,
        };
        let mut names: BTreeMap<NodeId, String> = BTreeMap::new();
        if let Some(anchor) = group.anchor {
            names.insert(anchor, "value".to_string());
        }
        body.load_operands(graph, &space, &outside, before, &place_of, &mut names)?;
        for &id in &group.pointwise {
            let Some(Role::Pointwise(code)) = graph.node(id).op().map(|op| op.role()) else {
                return Err(Error::Graph(format!(
                    "%{} is fused but not pointwise",
                    id.index()
                )));
            };
            let arguments = graph
                .node(id)
                .inputs
                .iter()
                .map(|i| match &graph.node(*i).kind {
                    NodeKind::Constant(value) => literal(*value),
                    _ => names[i].clone(),
                });
            let call = call(&code, arguments.collect());
            body.imports.insert(code.shader);
            let name = format!("v{}", names.len());
            let _ = writeln!(body.statements, "    let {name} = {call};");
            names.insert(id, name);
        }
        for &id in &group.results {
            body.results.push((place_of(id)?.value, names[&id].clone()));
        }
        Ok(body)
    }

    /// Whether `group` can process four neighbours at a time: each operand is a single element or has the elements of
    /// the space in the same order, or the innermost axis is a multiple of four.
    ///
    /// # Errors
    /// If the group is empty: a defect.
    pub fn vectorizes(graph: &Graph, group: &FusedGroup) -> Result<bool> {
        let space = space(graph, group)?;
        let plain = |id: &NodeId| {
            let elements = graph.ty(*id).elements();
            elements == 1 || elements == space.elements()
        };
        let flat = group.anchor.is_none() && outside_operands(graph, group).iter().all(plain);
        Ok(flat || space.last().is_multiple_of(4))
    }

    fn load_operands(
        &mut self,
        graph: &Graph,
        space: &Shape,
        outside: &[NodeId],
        before: &[Body],
        place_of: &impl Fn(NodeId) -> Result<Place>,
        names: &mut BTreeMap<NodeId, String>,
    ) -> Result<()> {
        let unit = if self.vec4 { 4 } else { 1 };
        let strided: Vec<Vec<usize>> = outside
            .iter()
            .map(|&id| &graph.ty(id).shape)
            .filter(|s| s.elements() != 1 && s.elements() != space.elements())
            .map(|s| s.broadcast_strides(space))
            .collect();
        let axes = collapse(space, &strided);
        // Coordinates along the collapsed axes, innermost first, in units of F along the innermost.
        if !strided.is_empty() {
            let mut rest = "i".to_string();
            for (n, axis) in axes.iter().enumerate().rev() {
                let extent = if n + 1 == axes.len() {
                    axis.extent / unit
                } else {
                    axis.extent
                };
                if n == 0 {
                    let _ = writeln!(self.statements, "    let q{n} = {rest};");
                } else {
                    let _ = writeln!(self.statements, "    let q{n} = {rest} % {extent}u;");
                    let _ = writeln!(self.statements, "    let r{n} = {rest} / {extent}u;");
                    rest = format!("r{n}");
                }
            }
        }
        let bound: usize = before.iter().map(|body| body.reads.len()).sum();
        for &id in outside {
            let shape = &graph.ty(id).shape;
            let Place { value, uniform } = place_of(id)?;
            let shared = before
                .iter()
                .flat_map(|body| &body.reads)
                .find(|read| read.splat && read.value == value && shape.elements() == 1);
            let name = match shared {
                Some(read) => read.name.clone(),
                None => format!("{}{}", self.prefix, bound + self.reads.len()),
            };
            let local = format!("v{}", names.len());
            let whole = shape.elements() == space.elements() && !uniform && shared.is_none();
            let expression = if whole {
                format!("load_{name}(i)")
            } else if shape.elements() == 1 && uniform {
                format!("F({name}.x)")
            } else if shape.elements() == 1 {
                format!("F({name}[0])")
            } else {
                let strides = shape.broadcast_strides(space);
                let splat = strides.last() == Some(&0) && self.vec4;
                let index = strided_index(&axes, &strides, if splat { 1 } else { unit });
                if splat {
                    format!("F({name}[{index}])")
                } else {
                    format!("load_{name}({index})")
                }
            };
            let splat = expression.starts_with("F(");
            let loads = if splat { 0 } else { self.steps as u64 };
            let _ = writeln!(self.statements, "    let {local} = {expression};");
            if shared.is_none() {
                self.reads.push(Read {
                    name,
                    value,
                    splat,
                    uniform,
                    loads,
                });
            }
            names.insert(id, local);
        }
        Ok(())
    }

    /// Declarations of the operands from binding `first` on, with their accessors. A value that is read and written is
    /// bound once.
    pub fn declarations(&self, first: u32) -> String {
        let mut text = String::new();
        let element = if self.vec4 { "vec4<f32>" } else { "f32" };
        for (n, read) in self.reads.iter().enumerate() {
            let (name, binding) = (&read.name, first + n as u32);
            let access = if self.writes(read.value) {
                "read_write"
            } else {
                "read"
            };
            if read.uniform {
                let _ = writeln!(
                    text,
                    "@group(0) @binding({binding}) var<uniform> {name}: vec4<f32>;"
                );
                continue;
            }
            let ty = if read.splat { "f32" } else { element };
            let _ = writeln!(
                text,
                "@group(0) @binding({binding}) var<storage, {access}> {name}: array<{ty}>;"
            );
            if !read.splat {
                let _ = writeln!(
                    text,
                    "fn load_{name}(i: u32) -> {element} {{ return {name}[i]; }}"
                );
            }
        }
        text
    }

    /// Whether `value` is one of the results.
    pub fn writes(&self, value: ValueId) -> bool {
        self.results.iter().any(|(result, _)| *result == value)
    }

    /// The replacement for `fn epilogue(value: F, index: u32) -> F`, with operands from binding `first` on.
    /// `index` is the position in elements.
    pub fn epilogue(&self, first: u32) -> String {
        let mut text = String::new();
        for import in &self.imports {
            let _ = writeln!(text, "#import {import}");
        }
        text.push_str(&self.declarations(first));
        let shift = if self.vec4 { 2 } else { 0 };
        let result = self
            .results
            .last()
            .map_or("value", |(_, local)| local.as_str());
        let _ = write!(
            text,
            "fn epilogue(value: F, index: u32) -> F {{\n    let i = index >> {shift}u;\n{}    return {result};\n}}",
            self.statements
        );
        text
    }
}

/// Operands from outside the group, in the order of first use; constants become literals instead.
fn outside_operands(graph: &Graph, group: &FusedGroup) -> Vec<NodeId> {
    let members: BTreeSet<NodeId> = group.members().collect();
    let mut seen = BTreeSet::new();
    group
        .pointwise
        .iter()
        .flat_map(|&m| graph.node(m).inputs.iter().copied())
        .filter(|i| !members.contains(i))
        .filter(|i| !matches!(graph.node(*i).kind, NodeKind::Constant(_)))
        .filter(|i| seen.insert(*i))
        .collect()
}

/// The iteration space of a group: the shape of its results.
fn space(graph: &Graph, group: &FusedGroup) -> Result<Shape> {
    let first = group.results.first().or(group.pointwise.first());
    let first = *first.ok_or_else(|| Error::Graph("an empty group was planned".to_string()))?;
    Ok(graph.ty(first).shape.clone())
}

fn call(code: &PointwiseCode, mut arguments: Vec<String>) -> String {
    arguments.extend(code.literals.iter().map(|&x| literal(x)));
    format!("{}({})", code.function, arguments.join(", "))
}

/// A number as a WGSL literal of type `F`.
fn literal(x: f64) -> String {
    let x = x as f32;
    if x.is_finite() {
        format!("F({x:e}f)")
    } else {
        format!("F(bitcast<f32>({}u))", x.to_bits())
    }
}

/// One axis of the collapsed iteration space.
struct Axis {
    extent: usize,
    /// The last of the original axes that it combines.
    last: usize,
}

/// Merges neighbouring axes if every operand is contiguous across them.
fn collapse(space: &Shape, strided: &[Vec<usize>]) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::new();
    for (axis, &extent) in space.dims().iter().enumerate() {
        if extent == 1 && !axes.is_empty() {
            continue;
        }
        let merges = axes
            .last()
            .is_some_and(|outer| strided.iter().all(|s| s[outer.last] == s[axis] * extent));
        match axes.last_mut() {
            Some(outer) if merges => {
                outer.extent *= extent;
                outer.last = axis;
            }
            Some(outer) if outer.extent == 1 => *outer = Axis { extent, last: axis },
            _ => axes.push(Axis { extent, last: axis }),
        }
    }
    axes
}

/// The index of an operand at the coordinates `q0`, `q1`, …, in units of `unit` elements.
fn strided_index(axes: &[Axis], strides: &[usize], unit: usize) -> String {
    let inner = axes.len() - 1;
    let terms: Vec<String> = axes
        .iter()
        .enumerate()
        .filter(|(_, axis)| strides[axis.last] != 0)
        .map(|(n, axis)| {
            // Along the innermost axis the coordinate itself is in units.
            let stride = if n == inner {
                strides[axis.last]
            } else {
                strides[axis.last] / unit
            };
            if stride == 1 {
                format!("q{n}")
            } else {
                format!("q{n} * {stride}u")
            }
        })
        .collect();
    if terms.is_empty() {
        "0u".to_string()
    } else {
        terms.join(" + ")
    }
}
