//! Computing the outputs of an ONNX file for given arrays.

use super::array::Array;
use super::element::Element;
use super::file::{Declared, DeclaredExtent, OnnxFile};
use super::roles::Roles;
use super::value::{Held, NodeValue};
use super::walk::Walk;
use crate::data::NpyArray;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::graph::Builder;
use crate::nn::Forward;
use crate::tensor::TensorType;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// An output.
#[derive(Clone, Debug)]
pub struct Computed {
    /// Its name in the file.
    pub name: String,
    /// Its elements, with the type and the axes of the file.
    pub array: Array,
}

/// Computes all outputs of `file` on `device` for the arrays `inputs`, by name: shape and elements. Floats are computed on the
/// device; integers that shapes depend on, on the host.
///
/// # Errors
/// If an input is missing or of another shape than the file declares, a node can't be built, or the device failed.
pub fn run(
    file: &OnnxFile,
    mut device: Box<dyn Device + '_>,
    inputs: &BTreeMap<String, NpyArray>,
) -> Result<Vec<Computed>> {
    let refused = |why: String| Error::Config(format!("{}: {why}", file.path.display()));
    if let Some(name) = inputs
        .keys()
        .find(|name| file.inputs.iter().all(|input| input.name != **name))
    {
        let known: Vec<&str> = file.inputs.iter().map(|i| i.name.as_str()).collect();
        return Err(refused(format!(
            "it has no input {name}; its inputs are {}",
            known.join(", ")
        )));
    }
    let roles = Roles::of(file);
    let builder = Builder::new();
    let mut cx = Forward::evaluation(&builder);
    let mut names = roles.constants(file);
    let mut fed = Vec::new();
    for input in &file.inputs {
        let given = inputs.get(&input.name).ok_or_else(|| {
            refused(format!(
                "its input {} is missing; give it with --input {}=FILE.npy",
                input.name, input.name
            ))
        })?;
        check(input, &given.shape).map_err(refused)?;
        let element = input.element.unwrap_or(Element::Float);
        let array = typed(given, element);
        // Integers may decide shapes.
        let value = match element.is_float() && !array.is_empty() {
            true => {
                // A single number is fed as a row of one.
                let dims = match &array.dims[..] {
                    [] => vec![1],
                    dims => dims.to_vec(),
                };
                let row = array.reshaped(&dims);
                let var = builder.input(&input.name, TensorType::f32(dims));
                fed.push((input.name.clone(), row.tensor()));
                let var = var.reshape(array.dims.clone())?;
                NodeValue::fed(Arc::new(array), var)
            }
            false => NodeValue::known(array),
        };
        names.insert(input.name.clone(), value);
    }
    let mut walk = Walk::new(&builder, Some(&mut cx), file, &roles.layouts, "");
    walk.follows_file = true;
    walk.nodes(&file.nodes, &mut names)?;
    let mut results = Vec::new();
    for output in &file.outputs {
        let value = names
            .get(&output.name)
            .ok_or_else(|| refused(format!("no node makes its output {}", output.name)))?;
        let element = output.element.unwrap_or(value.element);
        results.push(match &value.place {
            Held::Known(array) | Held::Stored { array, .. } => Ok(array.cast(element)),
            Held::Live { .. } => {
                let var = walk.var(value)?;
                builder.output(&output.name, var);
                Err((element, value.dims.clone()))
            }
        });
    }
    let variables = std::mem::take(&mut walk.variables);
    drop(walk);
    cx.finish()?;
    let graph = builder.finish()?;
    let mut computed = HashMap::new();
    if !graph.outputs.is_empty() {
        set(&mut *device, &variables, &roles.layouts)?;
        let used: Vec<String> = graph
            .nodes
            .iter()
            .filter_map(|node| match &node.kind {
                crate::graph::NodeKind::Input(name) => Some(name.to_string()),
                _ => None,
            })
            .collect();
        let names: Vec<String> = graph.outputs.iter().map(|o| o.name.clone()).collect();
        let planned = device.plan(graph)?;
        let program = device.prepare(planned)?;
        for (name, tensor) in &fed {
            if used.contains(name) {
                // An input that nothing reads has no place on the device.
                let _ = device.feed(program, name, tensor);
            }
        }
        device.run(program, 1, &[])?;
        for name in names {
            let tensor = device.output(program, &name)?;
            computed.insert(name, tensor);
        }
    }
    let outputs = file.outputs.iter().zip(results);
    outputs
        .map(|(output, result)| {
            let array = match result {
                Ok(array) => array,
                Err((element, dims)) => {
                    let tensor = computed.get(&output.name).ok_or_else(|| {
                        refused(format!("its output {} was not computed", output.name))
                    })?;
                    let numbers = tensor
                        .reals()
                        .iter()
                        .map(|&x| element.nearest(f64::from(x)));
                    Array::new(element, dims, numbers.collect())
                }
            };
            Ok(Computed {
                name: output.name.clone(),
                array,
            })
        })
        .collect()
}

/// `given` as an array of the type that an input declares. NumPy has no 16-bit floats of the range of 32 bits: their bits are given
/// as integers.
fn typed(given: &NpyArray, element: Element) -> Array {
    let number = |&x: &f64| match element {
        Element::Bfloat16 if !given.has_floats => {
            f64::from(half::bf16::from_bits(x as u16).to_f32())
        }
        _ => element.nearest(x),
    };
    Array::new(
        element,
        given.shape.clone(),
        given.numbers.iter().map(number).collect(),
    )
}

/// Sets the `variables` that a graph reads on `device`.
fn set(
    device: &mut dyn Device,
    variables: &BTreeMap<String, Arc<Array>>,
    layouts: &HashMap<String, crate::nn::Layout>,
) -> Result<()> {
    for (name, array) in variables {
        let tensor = match layouts.get(name) {
            Some(crate::nn::Layout::Conv) => array.permuted(&[0, 2, 3, 1]).tensor(),
            _ => array.tensor(),
        };
        device.set(name, &tensor)?;
    }
    Ok(())
}

/// Whether `dims` are what `input` declares.
fn check(input: &Declared, dims: &[usize]) -> Result<(), String> {
    let Some(declared) = &input.dims else {
        return Ok(());
    };
    let fits = declared.len() == dims.len()
        && declared
            .iter()
            .zip(dims)
            .all(|(extent, have)| match extent {
                DeclaredExtent::Fixed(extent) => extent == have,
                DeclaredExtent::Named(_) => true,
            });
    match fits {
        true => Ok(()),
        false => Err(format!(
            "its input {} is {}, and an array of {dims:?} was given",
            input.name,
            input.shape_in_words()
        )),
    }
}
