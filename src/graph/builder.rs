//! Builds a graph: [`Var`] handles that are used like eager tensors and record the source line of each call.

use super::{Graph, Node, NodeId, NodeKind, Output, Precision, Update};
use crate::error::{Error, Result};
use crate::ops::{ErasedOp, Op};
use crate::passes;
use crate::tensor::{DType, Shape, TensorType};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;

/// A graph under construction. Operations are methods of [`Var`], defined in the files of `ops`.
#[derive(Default)]
pub struct Builder {
    graph: RefCell<Graph>,
    /// Variables by name.
    variables: RefCell<HashMap<Arc<str>, NodeId>>,
    scope: RefCell<Vec<Arc<str>>>,
    /// Number of living [`Precise`] guards.
    precise: Cell<usize>,
    /// Whether operations are kept as they are, without [`passes::combine`].
    apart: Cell<bool>,
}

/// A value of a graph under construction: a cheap handle.
#[derive(Clone, Copy)]
pub struct Var<'g> {
    builder: &'g Builder,
    id: NodeId,
}

/// Guard that sets the name of the layer under construction while it lives.
pub struct Scope<'g> {
    builder: &'g Builder,
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        self.builder.scope.borrow_mut().pop();
    }
}

/// Guard during which values are not stored in 16 bits.
pub struct Precise<'g> {
    builder: &'g Builder,
}

impl Drop for Precise<'_> {
    fn drop(&mut self) {
        let precise = &self.builder.precise;
        precise.set(precise.get() - 1);
    }
}

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Continues building at the end of `graph`.
    pub fn from_graph(graph: Graph) -> Self {
        let mut variables = HashMap::new();
        for id in graph.ids() {
            if let NodeKind::Variable(name) = &graph.node(id).kind {
                variables.entry(name.clone()).or_insert(id);
            }
        }
        Builder {
            graph: RefCell::new(graph),
            variables: RefCell::new(variables),
            scope: RefCell::default(),
            precise: Cell::default(),
            apart: Cell::default(),
        }
    }

    /// Sets the precision of the graph's products; it is 32 bits otherwise.
    pub fn set_precision(&self, precision: Precision) {
        self.graph.borrow_mut().precision = precision;
    }

    /// Keeps operations as they are instead of replacing them by combined ones ([`passes::combine`]), which have no rule for gradients of
    /// single samples.
    pub fn keep_apart(&self) {
        self.apart.set(true);
    }

    /// Adds `name` to the scope of all nodes built while the guard lives; errors, dumps and labels show it.
    pub fn scope(&self, name: &str) -> Scope<'_> {
        let mut stack = self.scope.borrow_mut();
        let path = match stack.last() {
            Some(outer) if !outer.is_empty() => format!("{outer}.{name}"),
            _ => name.to_string(),
        };
        stack.push(path.into());
        Scope { builder: self }
    }

    /// Keeps the values of all nodes built while the guard lives in 32 bits, also in mixed precision.
    pub fn precise(&self) -> Precise<'_> {
        self.precise.set(self.precise.get() + 1);
        Precise { builder: self }
    }

    /// The same for `values`, which have been built.
    pub fn keep_precise(&self, values: &[Var<'_>]) {
        let nodes = &mut self.graph.borrow_mut().nodes;
        for value in values {
            nodes[value.id.index()].may_be_narrow = false;
        }
    }

    /// Sets the current scope to `path`, regardless of enclosing scopes.
    pub(crate) fn absolute_scope(&self, path: &str) -> Scope<'_> {
        self.scope.borrow_mut().push(path.into());
        Scope { builder: self }
    }

    fn current_scope(&self) -> Arc<str> {
        self.scope
            .borrow()
            .last()
            .cloned()
            .unwrap_or_else(|| "".into())
    }

    #[track_caller]
    fn push(&self, kind: NodeKind, inputs: Vec<NodeId>, ty: TensorType) -> Var<'_> {
        let mut graph = self.graph.borrow_mut();
        let id = NodeId(graph.nodes.len() as u32);
        let node = Node {
            kind,
            inputs,
            ty,
            may_be_narrow: self.precise.get() == 0,
            scope: self.current_scope(),
            location: Location::caller(),
        };
        graph.nodes.push(node);
        Var { builder: self, id }
    }

    /// A tensor that persists across steps: weight, optimizer state, data set. A second call with the same name returns
    /// the same node.
    ///
    /// # Errors
    /// If the name belongs to a variable of another type.
    #[track_caller]
    pub fn variable(&self, name: &str, ty: TensorType) -> Result<Var<'_>> {
        let known = self.variables.borrow().get(name).copied();
        let known = known.map(|id| (id, self.graph.borrow().ty(id).clone()));
        match known {
            Some((id, known)) if known == ty => Ok(Var { builder: self, id }),
            Some((_, known)) => Err(self.error(
                "variable",
                format!("{name} is already a {known}; it can't also be a {ty}"),
                Location::caller(),
            )),
            None => {
                let name: Arc<str> = name.into();
                let new = self.push(NodeKind::Variable(name.clone()), vec![], ty);
                self.variables.borrow_mut().insert(name, new.id);
                Ok(new)
            }
        }
    }

    /// A tensor that the caller feeds before each step. Code that needs it in several places passes the node on:
    /// [`Builder::finish`] rejects a graph with two inputs of the same name, so that a value is never shared by
    /// accident.
    #[track_caller]
    pub fn input(&self, name: &str, ty: TensorType) -> Var<'_> {
        self.push(NodeKind::Input(name.into()), vec![], ty)
    }

    /// A scalar constant; it broadcasts to any shape.
    #[track_caller]
    pub fn constant(&self, value: f64) -> Var<'_> {
        self.push(
            NodeKind::Constant(value),
            vec![],
            TensorType::f32(Shape::scalar()),
        )
    }

    /// Applies `op`, or its replacement by [`passes::combine`].
    ///
    /// # Errors
    /// If the operands don't fit; the message names the layer and the caller's source line.
    #[track_caller]
    pub fn op(&self, op: impl Op, inputs: &[Var<'_>]) -> Result<Var<'_>> {
        self.erased(Arc::new(op), inputs)
    }

    /// Applies `op`, as [`Builder::op`] does.
    ///
    /// # Errors
    /// If the operands don't fit.
    #[track_caller]
    pub fn erased(&self, op: Arc<dyn ErasedOp>, inputs: &[Var<'_>]) -> Result<Var<'_>> {
        let location = Location::caller();
        let (ids, types): (Vec<_>, Vec<_>) = inputs.iter().map(|v| (v.id, v.ty())).unzip();
        let refs: Vec<&TensorType> = types.iter().collect();
        let ty = op
            .infer(&refs)
            .map_err(|message| self.error(op.name(), message, location))?;
        let elements = ty
            .dims()
            .iter()
            .try_fold(1_u64, |n, &d| n.checked_mul(d as u64));
        if elements.is_none_or(|n| n >= 1 << 31) {
            let scope = self.current_scope();
            return Err(Error::Memory(format!(
                "{scope}: the result of {} is {ty}, which is 2^31 elements or more; use a smaller batch or model",
                op.name()
            )));
        }
        if !self.apart.get()
            && let Some(combined) = passes::combine(&*op, inputs, &ty)?
        {
            return Ok(self.var(combined.id()));
        }
        Ok(self.push(NodeKind::Op(op), ids, ty))
    }

    fn error(
        &self,
        op: &'static str,
        message: String,
        location: &'static Location<'static>,
    ) -> Error {
        let scope = self.current_scope();
        let layer = if scope.is_empty() {
            String::new()
        } else {
            format!("layer {scope}, ")
        };
        Error::Shape {
            layer,
            op,
            message,
            location: location.to_string(),
        }
    }

    /// Makes `value` readable after a step under `name`.
    pub fn output(&self, name: &str, value: Var<'_>) {
        let output = Output {
            name: name.to_string(),
            node: value.id,
        };
        self.graph.borrow_mut().outputs.push(output);
    }

    /// Sets `variable` to `value` after each step.
    ///
    /// # Errors
    /// If `variable` is not a variable, or the types differ.
    #[track_caller]
    pub fn update(&self, variable: Var<'_>, value: Var<'_>) -> Result<()> {
        let (have, want) = (value.ty(), variable.ty());
        let name = self.graph.borrow().node(variable.id).label();
        if have != want {
            let message = format!("{name} is a {want} and can't take a {have}");
            return Err(self.error("update", message, Location::caller()));
        }
        if !matches!(
            self.graph.borrow().node(variable.id).kind,
            NodeKind::Variable(_)
        ) {
            let message = format!("{name} is not a variable");
            return Err(self.error("update", message, Location::caller()));
        }
        let update = Update {
            variable: variable.id,
            value: value.id,
        };
        self.graph.borrow_mut().updates.push(update);
        Ok(())
    }

    /// Number of updates so far.
    pub(crate) fn updates(&self) -> usize {
        self.graph.borrow().updates.len()
    }

    /// Replaces the value of each update from number `first` on by what `revise` makes of its variable and value.
    ///
    /// # Errors
    /// Those of `revise`.
    pub(crate) fn revise_updates<'g>(
        &'g self,
        first: usize,
        revise: impl Fn(Var<'g>, Var<'g>) -> Result<Var<'g>>,
    ) -> Result<()> {
        for index in first..self.updates() {
            let Update { variable, value } = self.graph.borrow().updates[index];
            let value = revise(self.var(variable), self.var(value))?.id;
            self.graph.borrow_mut().updates[index].value = value;
        }
        Ok(())
    }

    /// The handle of an existing node.
    pub fn var(&self, id: NodeId) -> Var<'_> {
        Var { builder: self, id }
    }

    /// Calls `look` on the graph built so far.
    pub fn with_graph<R>(&self, look: impl FnOnce(&Graph) -> R) -> R {
        look(&self.graph.borrow())
    }

    /// Verifies and returns the finished graph.
    ///
    /// # Errors
    /// If the graph violates one of its rules.
    pub fn finish(self) -> Result<Graph> {
        let graph = self.graph.into_inner();
        graph.verify()?;
        Ok(graph)
    }
}

impl<'g> Var<'g> {
    /// The graph that this value belongs to.
    pub fn builder(self) -> &'g Builder {
        self.builder
    }

    /// Its node.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// Element type and shape.
    pub fn ty(self) -> TensorType {
        self.builder.graph.borrow().ty(self.id).clone()
    }

    /// Extents.
    pub fn shape(self) -> Shape {
        self.ty().shape
    }

    /// Element type.
    pub fn dtype(self) -> DType {
        self.builder.graph.borrow().ty(self.id).dtype
    }

    /// Applies an operation with this value as its only operand.
    #[track_caller]
    pub fn apply(self, op: impl Op) -> Result<Var<'g>> {
        self.builder.op(op, &[self])
    }
}

impl std::fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "%{}: {}", self.id.0, self.ty())
    }
}
