//! The rule that fuses the pooling of a convolution with it.

use super::Conv2dMaxPool;
use crate::error::Result;
use crate::graph::Var;
use crate::ops::Op;
use crate::ops::add::Add;
use crate::ops::conv2d::Conv2d;
use crate::ops::max_pool2d::MaxPool2d;
use crate::ops::relu::Relu;
use crate::tensor::TensorType;

/// The rule of [`passes::combine`](crate::passes::combine): `x` pooled, where `x` is a convolution that
/// [`Conv2dMaxPool`] supports, optionally followed by a bias per channel, a relu, or both; `None` for any other `x`. A
/// bias and a relu preserve the order of a channel's values, so they are applied after the pooling.
///
/// # Errors
/// If a node can't be built.
pub(in crate::ops) fn combined<'g>(x: Var<'g>, pool: &MaxPool2d) -> Result<Option<Var<'g>>> {
    if pool.kernel != pool.stride || pool.padding != [[0, 0], [0, 0]] {
        return Ok(None);
    }
    let builder = x.builder();
    let (inner, relu) = match operands::<Relu>(x)[..] {
        [inner] => (inner, true),
        _ => (x, false),
    };
    let (between, bias) = match operands::<Add>(inner)[..] {
        [inner, bias] if bias.shape().dims() == [x.shape().last()] => (inner, Some(bias)),
        _ => (inner, None),
    };
    let (Some(conv), [image, weights]) = (convolution(between), &operands::<Conv2d>(between)[..])
    else {
        return Ok(None);
    };
    let op = Conv2dMaxPool {
        stride: conv.stride,
        padding: conv.padding,
        pool: pool.kernel,
    };
    let &[out, kh, kw, channels] = weights.shape().dims() else {
        return Ok(None);
    };
    let covered = op
        .extents(&image.ty(), &TensorType::f32([kh, kw, channels, out]))
        .is_ok();
    if !covered || op.conv() != conv {
        return Ok(None);
    }
    let scope = builder.with_graph(|graph| graph.node(between.id()).scope.clone());
    let _scope = builder.absolute_scope(&scope);
    let mut y = builder.op(op, &[*image, weights.permute(&[1, 2, 3, 0])?])?;
    if let Some(bias) = bias {
        y = y.add(bias)?;
    }
    if relu {
        y = y.relu()?;
    }
    Ok(Some(y))
}

/// The operands of `x` if it is an operation `O`, otherwise none.
fn operands<'g, O: Op>(x: Var<'g>) -> Vec<Var<'g>> {
    let builder = x.builder();
    let ids = builder.with_graph(|graph| {
        let node = graph.node(x.id());
        match node.op() {
            Some(op) if op.as_any().is::<O>() => node.inputs.clone(),
            _ => Vec::new(),
        }
    });
    ids.into_iter().map(|id| builder.var(id)).collect()
}

/// The convolution at `x`, if there is one.
fn convolution(x: Var<'_>) -> Option<Conv2d> {
    let builder = x.builder();
    builder.with_graph(|graph| graph.node(x.id()).op()?.as_any().downcast_ref().copied())
}
