//! What nodes make of constants alone.

use super::tensor::Kept;
use super::write::KerasWriter;
use crate::onnx::array::Array;
use crate::onnx::messages::NodeProto;
use std::sync::Arc;

/// Computes `node` if it moves the elements of a constant, and says whether it does.
pub fn fold(writer: &mut KerasWriter, node: &NodeProto) -> bool {
    let made = computed(writer, node);
    match (made, node.output.first()) {
        (Some(array), Some(output)) => {
            writer.keep(output, Kept::Constant(Arc::new(array)));
            true
        }
        _ => false,
    }
}

fn computed(writer: &KerasWriter, node: &NodeProto) -> Option<Array> {
    let array = writer.constant(node.input.first()?)?;
    let ints = |name: &str| {
        let attribute = node.attribute.iter().find(|a| a.name == name)?;
        Some(
            attribute
                .ints
                .iter()
                .map(|&x| x as usize)
                .collect::<Vec<usize>>(),
        )
    };
    match node.op_type.as_str() {
        "Transpose" => Some(array.permuted(&ints("perm")?)),
        "Identity" => Some(array.as_ref().clone()),
        "Reshape" => {
            let shape = writer.constant(node.input.get(1)?)?;
            let dims: Vec<f64> = shape.iter().collect();
            let known = dims.iter().filter(|&&d| d > 0.0).product::<f64>();
            let dims = dims.iter().map(|&d| match d > 0.0 {
                true => d as usize,
                false => (array.len() as f64 / known) as usize,
            });
            Some(array.reshaped(&dims.collect::<Vec<usize>>()))
        }
        "Gather" => {
            let indices = writer.constant(node.input.get(1)?)?;
            let axis = node.attribute.iter().find(|a| a.name == "axis");
            let axis = axis.and_then(|a| a.i).unwrap_or(0);
            gathered(&array, &indices, usize::try_from(axis).ok()?)
        }
        _ => None,
    }
}

/// The elements of `array` at `indices` of `axis`.
fn gathered(array: &Array, indices: &Array, axis: usize) -> Option<Array> {
    let extent = *array.dims.get(axis)?;
    let inner: usize = array.dims[axis + 1..].iter().product();
    let outer: usize = array.dims[..axis].iter().product();
    let mut numbers = Vec::with_capacity(outer * indices.len() * inner);
    for block in 0..outer {
        for index in indices.iter() {
            let index = if index < 0.0 {
                index + extent as f64
            } else {
                index
            } as usize;
            if index >= extent {
                return None;
            }
            let start = (block * extent + index) * inner;
            numbers.extend((start..start + inner).map(|at| array.at(at)));
        }
    }
    let dims = [
        &array.dims[..axis],
        &indices.dims[..],
        &array.dims[axis + 1..],
    ]
    .concat();
    Some(Array::new(array.element, dims, numbers))
}
