//! The file: an archive with the configuration, a note on its version, and the weights.

use super::tensor::{KerasArg, KerasLayer};
use crate::error::{Error, Result};
use crate::nn::Model;
use crate::onnx::array::Array;
use hdf5_pure::{AttrValue, FileBuilder};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The version of Keras whose files are written.
const KERAS: &str = "3.9.0";

/// The file of `layers`, whose results `outputs` are those of `model`.
pub fn archive(model: &dyn Model, layers: &[KerasLayer], outputs: &[usize]) -> Result<Vec<u8>> {
    let failed =
        |e: &dyn std::fmt::Display| Error::Graph(format!("the file can't be written: {e}"));
    let config = config(model, layers, outputs);
    let metadata = json!({ "keras_version": KERAS, "date_saved": "2000-01-01@00:00:00" });
    let weights = weights(layers, outputs).map_err(|e| failed(&e))?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let files = [
        ("metadata.json", metadata.to_string().into_bytes()),
        ("config.json", config.to_string().into_bytes()),
        ("model.weights.h5", weights),
    ];
    for (name, bytes) in files {
        zip.start_file(name, options).map_err(|e| failed(&e))?;
        zip.write_all(&bytes).map_err(|e| failed(&e))?;
    }
    let written = zip.finish().map_err(|e| failed(&e))?;
    Ok(written.into_inner())
}

fn config(model: &dyn Model, layers: &[KerasLayer], outputs: &[usize]) -> Json {
    let end = |at: usize| json!([layers[at].name, 0, 0]);
    let tensor = |arg: &KerasArg| match arg {
        KerasArg::Layer(at) => json!({
            "class_name": "__keras_tensor__",
            // Keras finds the shape itself.
            "config": { "shape": [null], "dtype": "float32", "keras_history": end(*at) },
        }),
        KerasArg::Value(value) => value.clone(),
    };
    let described = layers.iter().map(|layer| {
        let mut config = layer.config.clone();
        config.insert("name".to_string(), json!(layer.name));
        let args: Vec<Json> = layer.args.iter().map(tensor).collect();
        let args = if layer.as_list {
            json!([args])
        } else {
            json!(args)
        };
        let nodes = match layer.args.is_empty() {
            true => json!([]),
            false => json!([{ "args": args, "kwargs": layer.kwargs }]),
        };
        let registered = match layer.module {
            super::write::LAYERS => Json::Null,
            _ => json!(layer.class),
        };
        json!({
            "module": layer.module,
            "class_name": layer.class,
            "config": config,
            "registered_name": registered,
            "name": layer.name,
            "inbound_nodes": nodes,
        })
    });
    let inputs = (0..layers.len())
        .filter(|&at| layers[at].class == "InputLayer")
        .map(end);
    let name = match model.name() {
        "" => "network",
        name => name,
    };
    json!({
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": name,
            "trainable": true,
            "layers": described.collect::<Vec<_>>(),
            "input_layers": inputs.collect::<Vec<_>>(),
            "output_layers": outputs.iter().map(|&at| end(at)).collect::<Vec<_>>(),
        },
        "registered_name": "Functional",
    })
}

/// The HDF5 file of weights: `layers/CLASS_2/vars/0`, where the number counts the layers of a class in Keras's order.
fn weights(
    layers: &[KerasLayer],
    outputs: &[usize],
) -> std::result::Result<Vec<u8>, hdf5_pure::Error> {
    let mut file = FileBuilder::new();
    let mut all = file.create_group("layers");
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for at in in_order(layers, outputs) {
        let layer = &layers[at];
        if layer.module != super::write::LAYERS {
            continue;
        }
        let count = counts.entry(layer.class).or_default();
        let name = match *count {
            0 => snake_case(layer.class),
            n => format!("{}_{n}", snake_case(layer.class)),
        };
        *count += 1;
        if layer.weights.is_empty() {
            continue;
        }
        let mut group = all.create_group(&name);
        let mut vars = group.create_group("vars");
        vars.set_attr("name", AttrValue::VarLenString(layer.name.clone()));
        if layer.within.is_empty() {
            fill(&mut vars, &layer.weights);
        } else {
            let mut within = group.create_group(layer.within);
            let mut own = within.create_group("vars");
            fill(&mut own, &layer.weights);
            within.add_group(own.finish());
            group.add_group(within.finish());
        }
        group.add_group(vars.finish());
        all.add_group(group.finish());
    }
    file.add_group(all.finish());
    file.finish()
}

fn fill(group: &mut hdf5_pure::GroupBuilder, weights: &[Array]) {
    for (at, array) in weights.iter().enumerate() {
        let shape: Vec<u64> = array.dims.iter().map(|&d| d as u64).collect();
        let values = array.singles();
        group
            .create_dataset(&at.to_string())
            .with_f32_data(&values)
            .with_shape(&shape);
    }
}

/// `MaxPooling2D` as `max_pooling2d`, and `LSTM` as `lstm`: Keras's `to_snake_case`.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut name = String::new();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        let begins = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || (before.is_ascii_digit() && after.is_some_and(char::is_ascii_lowercase))
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The layers in the order in which Keras lists those of a Functional model: those farthest from the output first, then as they are
/// met from the output, `map_graph` in `keras/src/ops/function.py`.
fn in_order(layers: &[KerasLayer], outputs: &[usize]) -> Vec<usize> {
    let parents = |at: usize| {
        let args = layers[at].args.iter();
        args.filter_map(|arg| match arg {
            KerasArg::Layer(parent) => Some(*parent),
            KerasArg::Value(_) => None,
        })
        .collect::<Vec<usize>>()
    };
    let mut met: HashMap<usize, usize> = HashMap::new();
    let mut finished = Vec::new();
    let mut done = vec![false; layers.len()];
    for &output in outputs {
        let mut stack = vec![(output, 0)];
        while let Some((at, next)) = stack.pop() {
            if next == 0 {
                if done[at] {
                    continue;
                }
                let count = met.len();
                met.entry(at).or_insert(count);
            }
            match parents(at).get(next) {
                Some(&parent) => {
                    stack.push((at, next + 1));
                    if !done[parent] {
                        stack.push((parent, 0));
                    }
                }
                None => {
                    done[at] = true;
                    finished.push(at);
                }
            }
        }
    }
    let mut depths: HashMap<usize, usize> = HashMap::new();
    for &at in finished.iter().rev() {
        let depth = *depths.entry(at).or_default();
        for parent in parents(at) {
            let known = depths.entry(parent).or_default();
            *known = (*known).max(depth + 1);
        }
    }
    finished.sort_by_key(|at| (std::cmp::Reverse(depths[at]), met[at]));
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_keras() {
        let names = [
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("MaxPooling2D", "max_pooling2d"),
            ("BatchNormalization", "batch_normalization"),
            ("LSTM", "lstm"),
            ("SimpleRNN", "simple_rnn"),
        ];
        for (class, name) in names {
            assert_eq!(snake_case(class), name);
        }
    }
}
