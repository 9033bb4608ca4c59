//! The text form of a graph, one node per line.

use super::{Graph, NodeKind};
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(half) = self.precision.half() {
            writeln!(f, "precision mixed, {half}")?;
        }
        for id in self.ids() {
            let node = self.node(id);
            write!(f, "%{} = ", id.index())?;
            match &node.kind {
                NodeKind::Variable(name) => write!(f, "variable {name}")?,
                NodeKind::Input(name) => write!(f, "input {name}")?,
                NodeKind::Constant(value) => write!(f, "constant {value}")?,
                NodeKind::Op(op) => {
                    let operands: Vec<_> = node
                        .inputs
                        .iter()
                        .map(|i| format!("%{}", i.index()))
                        .collect();
                    write!(f, "{:?}({})", op, operands.join(", "))?;
                }
            }
            write!(f, " : {}", node.ty)?;
            if !node.scope.is_empty() {
                write!(f, "  # {}", node.scope)?;
            }
            writeln!(f)?;
        }
        for output in &self.outputs {
            writeln!(f, "output {} = %{}", output.name, output.node.index())?;
        }
        for update in &self.updates {
            let name = self.node(update.variable).label();
            writeln!(f, "update {name} = %{}", update.value.index())?;
        }
        Ok(())
    }
}
