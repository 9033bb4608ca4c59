//! Work along one axis of a value in the graph, for several operators.

use super::shape::on_host;
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::array::Array;
use crate::onnx::call::Call;
use crate::onnx::element::Element;

/// `x` as `[outer, extent, inner]` around `axis`.
pub fn around<'g>(x: Var<'g>, axis: usize) -> Result<(Var<'g>, [usize; 3])> {
    let shape = x.shape();
    let dims = shape.dims();
    let outer = dims[..axis].iter().product();
    let inner = dims[axis + 1..].iter().product();
    let parts = [outer, dims[axis], inner];
    Ok((x.reshape(parts.to_vec())?, parts))
}

/// The positions `at` of `x` along `axis`, in this order.
pub fn taken<'g>(
    call: &mut Call<'_, '_, 'g>,
    x: Var<'g>,
    axis: usize,
    at: &[usize],
) -> Result<Var<'g>> {
    let shape = x.shape();
    let mut dims = shape.dims().to_vec();
    let follows = at.windows(2).all(|pair| pair[1] == pair[0] + 1);
    if let (true, Some(&first)) = (follows, at.first()) {
        return x.slice_axis(axis, first..first + at.len());
    }
    let rows = x.transpose(0, axis)?;
    let moved = rows.shape();
    let inner: usize = moved.dims()[1..].iter().product();
    let numbers = at.iter().map(|&i| i as f64).collect();
    let indices = Array::new(Element::Uint32, vec![at.len()], numbers);
    let indices = call.walk.index_constant(&indices)?;
    let rows = rows.reshape([moved.dims()[0], inner])?.gather(indices)?;
    dims[axis] = at.len();
    let mut own = dims.clone();
    own.swap(0, axis);
    rows.reshape(own)?.transpose(0, axis)
}

/// The elements of `x` at the places `at` of its row-major elements, as a tensor of `dims`.
pub fn picked<'g>(
    call: &mut Call<'_, '_, 'g>,
    x: Var<'g>,
    at: &[usize],
    dims: &[usize],
) -> Result<Var<'g>> {
    on_host(at.len())?;
    let numbers = at.iter().map(|&i| i as f64).collect();
    let indices = Array::new(Element::Uint32, vec![at.len()], numbers);
    let indices = call.walk.index_constant(&indices)?;
    let column = x.reshape([x.shape().elements(), 1])?;
    column.gather(indices)?.reshape(dims.to_vec())
}

/// Every `step`-th position of `x` along `axis` from `start`, `count` of them.
pub fn strided<'g>(
    x: Var<'g>,
    axis: usize,
    start: usize,
    step: usize,
    count: usize,
) -> Result<Var<'g>> {
    if step == 1 {
        return x.slice_axis(axis, start..start + count);
    }
    let shape = x.shape();
    let mut dims = shape.dims().to_vec();
    let end = (start + count * step).min(dims[axis]);
    let mut part = x.slice_axis(axis, start..end)?;
    let missing = count * step - (end - start);
    if missing > 0 {
        let mut padding = vec![[0, 0]; dims.len()];
        padding[axis] = [0, missing];
        part = part.pad(&padding, 0.0)?;
    }
    let (outer, inner): (usize, usize) = (
        dims[..axis].iter().product(),
        dims[axis + 1..].iter().product(),
    );
    let part = part.reshape([outer, count, step, inner])?;
    dims[axis] = count;
    part.slice_axis(2, 0..1)?.reshape(dims)
}

/// The matrix `[outputs, inputs]`, row-major, times the elements along `axis`.
pub fn multiplied<'g>(
    call: &mut Call<'_, '_, 'g>,
    x: Var<'g>,
    axis: usize,
    outputs: usize,
    matrix: impl FnOnce() -> Vec<f64>,
) -> Result<Var<'g>> {
    let shape = x.shape();
    let mut dims = shape.dims().to_vec();
    let inputs = dims[axis];
    on_host(outputs.saturating_mul(inputs))?;
    let matrix = call.table(&[outputs, inputs], matrix())?;
    let last = axis + 1 == dims.len();
    dims[axis] = outputs;
    if last {
        return x
            .reshape([x.shape().elements() / inputs.max(1), inputs])?
            .linear(matrix)?
            .reshape(dims);
    }
    let (x, [outer, _, inner]) = around(x, axis)?;
    let matrix = match outer {
        1 => matrix.reshape([1, outputs, inputs])?,
        _ => matrix.broadcast_to(&[outer, outputs, inputs].into())?,
    };
    matrix
        .matmul(x.reshape([outer, inputs, inner])?)?
        .reshape(dims)
}
