//! Matrix products.

use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, refused};
use crate::onnx::value::NodeValue;
use crate::ops::matmul::Matmul;
use crate::tensor::Shape;

pub const OPERATORS: &[Operator] = &[operator("Gemm", gemm), operator("MatMul", matmul)];

fn gemm<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let element = call.input(0)?.element;
    let (a, b) = (call.var(0)?, call.var(1)?);
    if a.shape().rank() != 2 || b.shape().rank() != 2 {
        return Err(refused("it takes two matrices"));
    }
    filled(a, b)?;
    let op = Matmul {
        transpose_a: call.int("transA", 0) != 0,
        transpose_b: call.int("transB", 0) != 0,
    };
    let (alpha, beta) = (call.float("alpha", 1.0), call.float("beta", 1.0));
    let mut y = a.matmul_with(b, op)?;
    if alpha != 1.0 {
        y = y.scale(alpha)?;
    }
    if let Some(c) = call.optional(2).cloned() {
        let c = call.walk.var(&c)?;
        y = y.add(if beta == 1.0 { c } else { c.scale(beta)? })?;
    }
    Ok(vec![NodeValue::live(element, y)])
}

/// NumPy's product: leading axes broadcast, and a vector is a row or a column.
fn matmul<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let element = call.input(0)?.element;
    let (a, b) = (call.var(0)?, call.var(1)?);
    let (ranks, ends) = (
        [a.shape().rank(), b.shape().rank()],
        [a.shape().last(), b.shape().last()],
    );
    let a = match ranks[0] {
        0 => return Err(refused("it takes no numbers without axes")),
        1 => a.reshape([1, ends[0]])?,
        _ => a,
    };
    let b = match ranks[1] {
        0 => return Err(refused("it takes no numbers without axes")),
        1 => b.reshape([ends[1], 1])?,
        _ => b,
    };
    let y = product(a, b)?;
    let mut dims = y.shape().dims().to_vec();
    // The axes that made a vector a matrix go again: the last one, or the one before it.
    let rows = dims.len() - 2;
    if ranks[1] == 1 {
        dims.remove(rows + 1);
    }
    if ranks[0] == 1 {
        dims.remove(rows);
    }
    Ok(vec![NodeValue::live(element, y.reshape(dims)?)])
}

/// Whether both operands have elements.
fn filled(a: Var<'_>, b: Var<'_>) -> Result<()> {
    match a.shape().elements().min(b.shape().elements()) {
        0 => Err(refused("its matrices have no elements")),
        _ => Ok(()),
    }
}

/// `a [.., m, k]` times `b [.., k, n]` with leading axes that broadcast.
pub fn product<'g>(a: Var<'g>, b: Var<'g>) -> Result<Var<'g>> {
    filled(a, b)?;
    let (sa, sb) = (a.shape(), b.shape());
    let (lead_a, end_a) = sa.dims().split_at(sa.rank() - 2);
    let (lead_b, end_b) = sb.dims().split_at(sb.rank() - 2);
    if lead_b.iter().all(|&d| d == 1) && lead_b.len() <= lead_a.len() {
        return a.matmul(b.reshape(end_b.to_vec())?);
    }
    let (left, right) = (Shape::from(lead_a), Shape::from(lead_b));
    let lead = left
        .broadcast(&right)
        .ok_or_else(|| refused(format!("batches of {left} and {right} do not broadcast")))?;
    let full = |x: Var<'g>, end: &[usize]| {
        let dims = [lead.dims(), end].concat();
        match x.shape().dims() == dims {
            true => Ok(x),
            false => x.broadcast_to(&dims.into()),
        }
    };
    full(a, end_a)?.matmul(full(b, end_b)?)
}
