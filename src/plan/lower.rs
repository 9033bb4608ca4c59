//! Lowers groups of nodes to launches: the interface for each operation's `lower`, and the pass that calls it.

use super::fused::{Body, Place};
use super::pointwise;
use super::{Choices, Launch, Step, Target, Value, ValueId, ValueKind};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, NodeKind, Precision};
use crate::ops::{ErasedOp, Role};
use crate::passes::{self, FusedGroup, InPlace};
use crate::shader::{Lanes, Reflections};
use crate::tensor::TensorType;
use std::collections::{BTreeSet, HashMap};

/// A value with its type: an operand or result of an operation.
#[derive(Clone, Debug)]
pub struct Arg {
    /// The value.
    pub value: ValueId,
    /// Element type and shape.
    pub ty: TensorType,
}

impl Arg {
    /// Extents.
    pub fn dims(&self) -> &[usize] {
        self.ty.dims()
    }

    /// Number of `vec4` loads that read the value once.
    pub fn vec4s(&self) -> u64 {
        self.ty.elements().div_ceil(4) as u64
    }
}

/// The interface by which an operation adds its launches to the plan.
pub struct Lowering<'a> {
    program: &'a mut Lowered,
    target: &'a Target,
    op: Option<&'a dyn ErasedOp>,
    inputs: Vec<Arg>,
    output: Option<Arg>,
    by_product: Option<Arg>,
    /// The epilogue for either type `F` of the kernel: scalar and, where possible, `vec4`.
    epilogue: Option<&'a (Body, Option<Body>)>,
    forced: Option<&'a str>,
    label: String,
    /// Whether the launch that writes the result has been added.
    ended: bool,
}

impl Lowering<'_> {
    /// The device to plan for.
    pub fn target(&self) -> &Target {
        self.target
    }

    /// Operand number `i`.
    pub fn input(&self, i: usize) -> Arg {
        self.inputs[i].clone()
    }

    /// Number of operands.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The result. With an epilogue, it is the value that the epilogue's launch writes.
    pub fn output(&self) -> Result<Arg> {
        self.output
            .clone()
            .ok_or_else(|| Error::Graph(format!("{} has no result", self.label)))
    }

    /// Where to write the result of the node that is this operation's by-product, if the graph has one; see
    /// `Op::by_product_of`.
    pub fn by_product(&self) -> Option<Arg> {
        self.by_product.clone()
    }

    /// Temporary memory for use between this operation's own launches.
    pub fn scratch(&mut self, ty: TensorType) -> Arg {
        let value = self
            .program
            .temporary(&ty, format!("{} scratch", self.label));
        Arg { value, ty }
    }

    /// The kernel variant to use: the forced one ([`Plan::with_variant`](super::Plan::with_variant), which checks that
    /// some operation of the graph has it), or the one that the target's tuning chose, if this operation has it;
    /// otherwise the default.
    pub fn variant(&self) -> &'static str {
        let Some(op) = self.op else { return "default" };
        let types: Vec<&TensorType> = self.inputs.iter().map(|a| &a.ty).collect();
        let known = op.variants(self.target, &types);
        let default = known.first().copied().unwrap_or("default");
        let named = |name: &str| known.iter().copied().find(|v| *v == name);
        if let Some(name) = self.forced {
            return named(name).unwrap_or(default);
        }
        // The tuner measures products in 32 bits.
        if self.target.choices.is_empty() || self.target.precision != Precision::Float32 {
            return default;
        }
        let key = Choices::key(op, &types);
        match self.target.choices.get(&key) {
            Some(name) => named(name).unwrap_or_else(|| {
                tracing::trace!("{key} has no variant {name} on {}", self.target.name);
                default
            }),
            None => default,
        }
    }

    /// Adds a launch.
    ///
    /// # Errors
    /// If the launch that writes the result has already been added: [`Lowering::launch_with_epilogue`].
    pub fn launch(&mut self, mut launch: Launch) -> Result<()> {
        if self.ended {
            return Err(Error::Graph(format!(
                "{} adds a launch of {} after the one with its epilogue, which must be the last",
                self.label, launch.shader.name
            )));
        }
        launch.label = self.label.clone();
        self.program.steps.push(Step::Launch(launch));
        Ok(())
    }

    /// Adds the launch that writes the result, whose shader declares `fn epilogue(value: F, index: u32) -> F`.
    /// Every operation of role `KernelWithEpilogue` ends with such a launch; no other operation has one.
    ///
    /// # Errors
    /// If the shader can't be read, or this is not the last launch of such an operation.
    pub fn launch_with_epilogue(&mut self, mut launch: Launch) -> Result<()> {
        if !self.takes_epilogue() {
            return Err(Error::Graph(format!(
                "{} launches {} with an epilogue but is not of role KernelWithEpilogue",
                self.label, launch.shader.name
            )));
        }
        if let Some((scalar, vec4)) = self.epilogue {
            let source = launch.shader.source()?;
            let reflections = &mut self.program.reflections;
            let reflection = reflections.get(&launch.shader.name, &source)?;
            let body = match reflection.epilogue {
                Some(Lanes::One) => scalar,
                Some(Lanes::Four) => vec4.as_ref().ok_or_else(|| {
                    Error::Graph(format!(
                        "{} stores vec4s but its rows are not whole ones",
                        self.label
                    ))
                })?,
                None => {
                    return Err(Error::Graph(format!(
                        "{} launches {}, which declares no `fn epilogue(value: F, index: u32) -> F`",
                        self.label, launch.shader.name
                    )));
                }
            };
            launch
                .shader
                .replace_function("epilogue", body.epilogue(reflection.next_binding()));
            for read in &body.reads {
                launch = launch.read(&read.name, read.value, read.loads);
            }
        }
        self.launch(launch)?;
        self.ended = true;
        Ok(())
    }

    fn takes_epilogue(&self) -> bool {
        self.op
            .is_some_and(|op| op.role() == Role::KernelWithEpilogue)
    }

    /// Checks that the launches of the operation, which have all been added, ended with the one that takes the
    /// epilogue.
    fn finish(&self) -> Result<()> {
        if self.takes_epilogue() && !self.ended {
            return Err(Error::Graph(format!(
                "{} is of role KernelWithEpilogue but has no launch with an epilogue",
                self.label
            )));
        }
        Ok(())
    }
}

/// Launches over values, before memory is planned.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    pub values: Vec<Value>,
    pub steps: Vec<Step>,
    pub outputs: Vec<(String, ValueId, TensorType)>,
    reflections: Reflections,
}

impl Lowered {
    fn push(&mut self, kind: ValueKind, ty: &TensorType, label: String) -> ValueId {
        self.values.push(Value {
            kind,
            bytes: whole_vec4s(ty) * 16,
            ty: ty.clone(),
            label,
            may_be_narrow: false,
            half: None,
        });
        ValueId(self.values.len() as u32 - 1)
    }

    pub(super) fn temporary(&mut self, ty: &TensorType, label: String) -> ValueId {
        self.push(ValueKind::Temporary, ty, label)
    }

    /// A temporary for the value of `node`.
    fn temporary_of(&mut self, node: &Node) -> ValueId {
        let id = self.temporary(&node.ty, node.label());
        let stays = node.op().is_some_and(|op| op.stays_precise());
        self.values[id.index()].may_be_narrow = node.may_be_narrow && !stays;
        id
    }
}

/// Number of `vec4`s that hold a tensor. Kernels may access the last one in full.
pub(super) fn whole_vec4s(ty: &TensorType) -> u64 {
    (ty.elements().max(1) as u64).div_ceil(4)
}

/// The kernel variants that operations of `graph` (simplified) have on `target`.
pub(super) fn variants(graph: &Graph, target: &Target) -> BTreeSet<&'static str> {
    let of_node = |node: &Node| -> Option<Vec<&'static str>> {
        let types = graph.operand_types(node);
        Some(node.op()?.variants(target, &types))
    };
    graph.nodes.iter().filter_map(of_node).flatten().collect()
}

/// Lowers `graph` (simplified) for `target`. `force` names a kernel variant to use wherever an operation has it.
///
/// # Errors
/// If no operation of the graph has that variant, or one can't run on the target.
pub(super) fn lower(graph: &Graph, target: &Target, force: Option<&str>) -> Result<Lowered> {
    if let Some(name) = force {
        let known = variants(graph, target);
        if !known.contains(name) {
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Error::Graph(format!(
                "no operation of the graph has a kernel variant {name:?} on {}; there are {}",
                target.name,
                known.join(", ")
            )));
        }
    }
    let max_buffers = (target.max_storage_buffers as usize).min(8);
    let mut walk = Walk {
        graph,
        target,
        force,
        lowered: Lowered::default(),
        value_of: HashMap::new(),
        kept: HashMap::new(),
        by_products: by_products(graph),
    };
    walk.place_leaves();
    walk.keep_roots();
    // Fuse as if every update could be made in place. If some group then binds too many tensors, fuse as if none could.
    let hoped = graph.updates.iter().map(|u| (u.value, u.variable));
    let mut groups = passes::fuse(graph, max_buffers, &hoped.collect());
    let mut in_place = walk.in_place_updates(&groups);
    let too_many = |g: &FusedGroup| g.anchor.is_none() && g.buffers(graph, &in_place) > max_buffers;
    if groups.iter().any(too_many) {
        groups = passes::fuse(graph, max_buffers, &InPlace::new());
        in_place = walk.in_place_updates(&groups);
    }
    walk.lower_groups(&groups, &in_place)?;
    for output in &graph.outputs {
        let value = walk.root(output.node)?;
        let ty = graph.ty(output.node).clone();
        walk.lowered.outputs.push((output.name.clone(), value, ty));
    }
    walk.copy_updates(&in_place)?;
    Ok(walk.lowered)
}

struct Walk<'a> {
    graph: &'a Graph,
    target: &'a Target,
    force: Option<&'a str>,
    lowered: Lowered,
    value_of: HashMap<NodeId, ValueId>,
    /// Copies of leaves, made before any launch, for the outputs and updates that refer to them.
    kept: HashMap<NodeId, ValueId>,
    /// By-products, keyed by the node that computes them.
    by_products: HashMap<NodeId, NodeId>,
}

/// The nodes of `graph` that are by-products of another node with the same operands, keyed by that node.
fn by_products(graph: &Graph) -> HashMap<NodeId, NodeId> {
    let mut found = HashMap::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let Some(main) = node.op().and_then(|op| op.by_product_of()) else {
            continue;
        };
        let text = format!("{main:?}");
        let same = |other: &NodeId| {
            let other = graph.node(*other);
            other.inputs == node.inputs && other.op().is_some_and(|op| format!("{op:?}") == text)
        };
        if let Some(main) = graph.ids().find(same) {
            found.insert(main, id);
        }
    }
    found
}

impl Walk<'_> {
    fn place_leaves(&mut self) {
        for id in self.graph.ids() {
            let node = self.graph.node(id);
            let kind = match &node.kind {
                NodeKind::Variable(name) => ValueKind::Variable(name.clone()),
                NodeKind::Input(name) => ValueKind::Input(name.clone()),
                NodeKind::Constant(x) => ValueKind::Constant(*x as f32),
                NodeKind::Op(_) => continue,
            };
            let value = self.lowered.push(kind, &node.ty, node.label());
            self.value_of.insert(id, value);
        }
    }

    /// The value of a node, looking through views.
    fn value(&self, id: NodeId) -> Result<ValueId> {
        let mut at = id;
        loop {
            if let Some(&value) = self.value_of.get(&at) {
                return Ok(value);
            }
            at = *self.graph.node(at).inputs.first().ok_or_else(|| {
                Error::Graph(format!(
                    "%{} ({}) was never computed",
                    id.index(),
                    self.graph.node(id).label()
                ))
            })?;
        }
    }

    /// The value of a node, and how a fused kernel may bind it.
    fn place(&self, id: NodeId) -> Result<Place> {
        let value = self.value(id)?;
        let known = &self.lowered.values[value.index()];
        let uniform = match known.kind {
            ValueKind::Input(_) => known.ty.shape.rank() == 0,
            ValueKind::Constant(_) => true,
            _ => false,
        };
        Ok(Place { value, uniform })
    }

    /// Copies variables that change in this step and are also an output or another variable's new value: both refer to
    /// the value before the step. Also copies scalar inputs used that way, because they share a buffer.
    fn keep_roots(&mut self) {
        let graph = self.graph;
        for root in graph.roots() {
            let leaf = self.through_views(root);
            let keeps = match &graph.node(leaf).kind {
                NodeKind::Variable(_) => graph
                    .updates
                    .iter()
                    .any(|u| u.variable == leaf && u.value != leaf),
                NodeKind::Input(_) => graph.ty(leaf).shape.rank() == 0,
                _ => false,
            };
            if keeps && !self.kept.contains_key(&leaf) {
                let from = self.value_of[&leaf];
                let node = graph.node(leaf);
                let to = self
                    .lowered
                    .temporary(&node.ty, format!("old {}", node.label()));
                self.lowered.steps.push(Step::Copy { from, to });
                self.kept.insert(leaf, to);
            }
        }
    }

    /// The value of a node that is an output or a variable's new value.
    fn root(&self, id: NodeId) -> Result<ValueId> {
        match self.kept.get(&self.through_views(id)) {
            Some(&kept) => Ok(kept),
            None => self.value(id),
        }
    }

    /// New values of variables that may overwrite the old ones in place: results of pointwise groups that run after
    /// every other reader of the variable.
    fn in_place_updates(&self, groups: &[FusedGroup]) -> InPlace {
        let mut last_reader: HashMap<NodeId, usize> = HashMap::new();
        let mut group_of: HashMap<NodeId, usize> = HashMap::new();
        for (index, group) in groups.iter().enumerate() {
            for member in group.members() {
                group_of.insert(member, index);
                for &input in &self.graph.node(member).inputs {
                    last_reader.insert(self.through_views(input), index);
                }
            }
        }
        let mut in_place = InPlace::new();
        for update in &self.graph.updates {
            let Some(&group) = group_of.get(&update.value) else {
                continue;
            };
            let late = last_reader
                .get(&update.variable)
                .is_none_or(|&last| last <= group);
            // Within the group the variable must be read at the position that is written, so not through a view.
            let direct = !groups[group].members().any(|m| {
                self.graph
                    .node(m)
                    .inputs
                    .iter()
                    .any(|&i| i != update.variable && self.through_views(i) == update.variable)
            });
            let pointwise = groups[group].anchor.is_none();
            if pointwise && late && direct && !in_place.contains_key(&update.value) {
                in_place.insert(update.value, update.variable);
            }
        }
        in_place
    }

    fn through_views(&self, mut id: NodeId) -> NodeId {
        while let Some(op) = self.graph.node(id).op() {
            if op.role() != Role::View {
                break;
            }
            id = self.graph.node(id).inputs[0];
        }
        id
    }

    fn lower_groups(&mut self, groups: &[FusedGroup], in_place: &InPlace) -> Result<()> {
        let mut bodies: Vec<Body> = Vec::new();
        let mut labels: Vec<String> = Vec::new();
        for group in groups {
            let made_on_the_way = group.anchor.filter(|a| self.value_of.contains_key(a));
            if made_on_the_way.is_some() {
                continue;
            }
            self.place_results(group, in_place);
            if let Some(anchor) = group.anchor {
                self.flush(&mut bodies, &mut labels)?;
                self.lower_anchored(group, anchor)?;
                continue;
            }
            let mut body = self.body(group, &bodies)?;
            if !pointwise::fits(&bodies, &body, self.target) {
                self.flush(&mut bodies, &mut labels)?;
                body = self.body(group, &[])?;
            }
            bodies.push(body);
            labels.extend(self.labels(group));
        }
        self.flush(&mut bodies, &mut labels)
    }

    /// Allocates the values that hold the results of `group`.
    fn place_results(&mut self, group: &FusedGroup, in_place: &InPlace) {
        for &result in &group.results {
            let value = match in_place.get(&result) {
                Some(variable) => self.value_of[variable],
                None => self.lowered.temporary_of(self.graph.node(result)),
            };
            self.value_of.insert(result, value);
        }
    }

    fn labels(&self, group: &FusedGroup) -> Vec<String> {
        group
            .members()
            .map(|m| self.graph.node(m).label())
            .collect()
    }

    /// The body of a pointwise group that follows the bodies `before` it in one kernel.
    fn body(&self, group: &FusedGroup, before: &[Body]) -> Result<Body> {
        let vec4 = Body::vectorizes(self.graph, group)?;
        Body::new(self.graph, group, vec4, before, |id| self.place(id))
    }

    /// Launches the pointwise groups collected so far.
    fn flush(&mut self, bodies: &mut Vec<Body>, labels: &mut Vec<String>) -> Result<()> {
        let (bodies, labels) = (std::mem::take(bodies), std::mem::take(labels));
        if bodies.is_empty() {
            return Ok(());
        }
        let mut cx = Lowering {
            program: &mut self.lowered,
            target: self.target,
            op: None,
            inputs: Vec::new(),
            output: None,
            by_product: None,
            epilogue: None,
            forced: self.force,
            label: short_label(&labels),
            ended: false,
        };
        pointwise::lower(&mut cx, &bodies)
    }

    fn lower_anchored(&mut self, group: &FusedGroup, anchor: NodeId) -> Result<()> {
        let graph = self.graph;
        let node = graph.node(anchor);
        let inputs = node
            .inputs
            .iter()
            .map(|&i| {
                Ok(Arg {
                    value: self.value(i)?,
                    ty: graph.ty(i).clone(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let Some(op) = node.op() else {
            return Err(Error::Graph(format!(
                "%{} anchors a group but is a leaf",
                anchor.index()
            )));
        };
        let output = match group.results.last() {
            Some(&result) => Arg {
                value: self.value(result)?,
                ty: node.ty.clone(),
            },
            None => return Ok(()),
        };
        let by_product = self.by_product(anchor);
        let epilogue = self.epilogue(group)?;
        let label = short_label(&self.labels(group));
        let mut cx = Lowering {
            program: &mut self.lowered,
            target: self.target,
            op: Some(&**op),
            inputs,
            output: Some(output),
            by_product,
            epilogue: epilogue.as_ref(),
            forced: self.force,
            label,
            ended: false,
        };
        op.lower(&mut cx)?;
        cx.finish()
    }

    /// Allocates a value for the by-product of `anchor`, if the graph has one that has not been computed yet.
    fn by_product(&mut self, anchor: NodeId) -> Option<Arg> {
        let id = *self.by_products.get(&anchor)?;
        if self.value_of.contains_key(&id) {
            return None;
        }
        let node = self.graph.node(id);
        let value = self.lowered.temporary_of(node);
        self.value_of.insert(id, value);
        let ty = node.ty.clone();
        Some(Arg { value, ty })
    }

    /// The epilogue of a group with an anchor.
    fn epilogue(&self, group: &FusedGroup) -> Result<Option<(Body, Option<Body>)>> {
        if group.pointwise.is_empty() {
            return Ok(None);
        }
        let body = |vec4| Body::new(self.graph, group, vec4, &[], |id| self.place(id));
        let vec4 = Body::vectorizes(self.graph, group)?
            .then(|| body(true))
            .transpose()?;
        Ok(Some((body(false)?, vec4)))
    }

    /// Copies the new values of variables that could not be written in place.
    fn copy_updates(&mut self, in_place: &InPlace) -> Result<()> {
        for update in &self.graph.updates {
            let stays = update.value == update.variable;
            if stays || in_place.get(&update.value) == Some(&update.variable) {
                continue;
            }
            let (from, to) = (self.root(update.value)?, self.value_of[&update.variable]);
            self.lowered.steps.push(Step::Copy { from, to });
        }
        Ok(())
    }
}

/// Joins the labels of a group's members and truncates them to a readable length.
fn short_label(labels: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = labels
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(" + ");
    if labels.len() > SHOWN {
        text.push_str(&format!(" + {} more", labels.len() - SHOWN));
    }
    text
}
