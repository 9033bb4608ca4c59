//! Combines an operation with those that produce its operands if there is a cheaper form of both: a convolution of few
//! taps and the max pooling of its result. Each operation defines its own rule
//! ([`Op::combined`](crate::ops::Op::combined)).
//!
//! This is the only rewrite before autodiff. In floating point, its gradient is a different function from that of the
//! nodes it replaces, so the reference has to compute it, too (docs/decisions.md). The rewrite happens when a node is
//! added, not later: handles ([`Var`]) are positions in the graph, which a rewrite of the whole graph would change.

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::ErasedOp;
use crate::tensor::TensorType;

/// The replacement for `op` on `inputs`, whose result has type `ty`; `None` if the operation is kept.
///
/// # Errors
/// If a node can't be built, or the type of the cheaper form differs: a defect.
pub fn combine<'g>(
    op: &dyn ErasedOp,
    inputs: &[Var<'g>],
    ty: &TensorType,
) -> Result<Option<Var<'g>>> {
    let combined = op.combined(inputs)?;
    if let Some(other) = combined.map(Var::ty).filter(|other| other != ty) {
        return Err(Error::Graph(format!(
            "{op:?} gives a {ty}, but combined with its operands a {other}"
        )));
    }
    Ok(combined)
}

#[cfg(test)]
mod tests {
    use crate::graph::{Builder, Var};
    use crate::ops::conv2d::Conv2d;
    use crate::ops::max_pool2d::MaxPool2d;
    use crate::tensor::TensorType;

    const POOL: MaxPool2d = MaxPool2d {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [[0, 0], [0, 0]],
    };

    /// Names of the nodes that `build` adds for its value, after the image and the weights.
    fn nodes(
        channels: usize,
        build: impl for<'g> Fn(&'g Builder, Var<'g>) -> crate::Result<Var<'g>>,
    ) -> Vec<String> {
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32([2, 8, 8, channels]));
        let w = builder.input("w", TensorType::f32([4, 3, 3, channels]));
        let between = builder.op(Conv2d::default(), &[x, w]).unwrap();
        let y = build(&builder, between).unwrap();
        builder.output("y", y);
        let graph = crate::passes::simplify(&builder.finish().unwrap()).unwrap();
        let ops = graph.nodes.iter().filter_map(|node| node.op());
        ops.map(|op| op.name().to_string()).collect()
    }

    #[test]
    fn pooling_a_convolution_of_few_taps_is_one_operation_before_bias_and_relu() {
        let fused = nodes(1, |builder, y| {
            let bias = builder.input("bias", TensorType::f32([4]));
            y.add(bias)?.relu()?.max_pool2d(POOL)
        });
        assert_eq!(fused, ["permute", "conv2d_max_pool", "add", "relu"]);
        let fused = nodes(3, |_, y| y.max_pool2d(POOL));
        assert_eq!(fused, ["permute", "conv2d_max_pool"]);
    }

    #[test]
    fn pooling_stays_apart_where_it_does_not_pay_or_the_order_of_numbers_may_change() {
        // 36 taps are too many.
        let many_taps = nodes(4, |_, y| y.max_pool2d(POOL));
        assert_eq!(many_taps, ["conv2d", "max_pool2d"]);
        // Not monotone.
        let square = nodes(1, |_, y| y.mul(y)?.max_pool2d(POOL));
        assert_eq!(square, ["conv2d", "mul", "max_pool2d"]);
        // A bias that varies by position.
        let places = nodes(1, |builder, y| {
            let bias = builder.input("bias", TensorType::f32([6, 6, 4]));
            y.add(bias)?.max_pool2d(POOL)
        });
        assert_eq!(places, ["conv2d", "add", "max_pool2d"]);
        let overlapping = nodes(1, |_, y| {
            y.max_pool2d(MaxPool2d {
                kernel: [3, 3],
                ..POOL
            })
        });
        assert_eq!(overlapping, ["conv2d", "max_pool2d"]);
    }
}
