//! The configuration of a network: its layers, and which layer reads which.

use serde_json::Value as Json;

/// A network.
#[derive(Debug)]
pub struct NetworkConfig {
    /// Its layers, in the order of the file.
    pub layers: Vec<LayerConfig>,
    /// Its inputs.
    pub inputs: Vec<KerasTensor>,
    /// Its outputs.
    pub outputs: Vec<KerasTensor>,
}

/// A result of a layer: the layer's name, which of its calls, and which of the results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KerasTensor {
    /// The layer.
    pub layer: String,
    /// Which call of it.
    pub call: usize,
    /// Which result.
    pub result: usize,
}

/// A layer.
#[derive(Debug)]
pub struct LayerConfig {
    /// Its class: `Conv2D`.
    pub class: String,
    /// Its name in the network.
    pub name: String,
    /// Its settings.
    pub config: Json,
    /// Its calls.
    pub calls: Vec<CallConfig>,
    /// The shape of its input, where the file says it: `[null, 28, 28, 1]`.
    pub input_shape: Option<Vec<Option<usize>>>,
}

/// A call of a layer.
#[derive(Debug, Default)]
pub struct CallConfig {
    /// What it reads.
    pub inputs: Vec<KerasOperand>,
    /// Named arguments that are tensors.
    pub named: Vec<(String, KerasTensor)>,
    /// Other named arguments.
    pub settings: Json,
}

/// What a call reads.
#[derive(Clone, Debug)]
pub enum KerasOperand {
    /// A result of a layer.
    Tensor(KerasTensor),
    /// A number, an array, or parts of an array.
    Constant(Json),
}

type Parsed<T> = Result<T, String>;

fn damaged(what: &str) -> String {
    format!("its configuration has no {what}; save it again as model.keras")
}

impl NetworkConfig {
    /// The network that `json` describes.
    ///
    /// # Errors
    /// If it is neither Sequential nor Functional, or damaged.
    pub fn of(json: &Json) -> Parsed<NetworkConfig> {
        let class = json.get("class_name").and_then(Json::as_str);
        let config = json.get("config").ok_or_else(|| damaged("config"))?;
        match class {
            Some("Sequential") => sequential(config),
            Some("Functional" | "Model") if config.get("layers").is_some() => functional(config),
            Some(class) => Err(format!(
                "its network is of the class {class}, whose code is not in the file; build it as a Sequential or Functional model, \
                 or export it as ONNX"
            )),
            None => Err(damaged("class")),
        }
    }
}

fn layer(json: &Json) -> Parsed<LayerConfig> {
    let class = json.get("class_name").and_then(Json::as_str);
    let config = json.get("config").cloned().unwrap_or(Json::Null);
    let name = json.get("name").or_else(|| config.get("name"));
    let shape = |key: &str| config.get(key).filter(|shape| shape.is_array());
    let built = json.get("build_config").and_then(|c| c.get("input_shape"));
    let shape = shape("batch_shape")
        .or_else(|| shape("batch_input_shape"))
        .or(built);
    Ok(LayerConfig {
        class: class
            .ok_or_else(|| damaged("class of a layer"))?
            .to_string(),
        name: name.and_then(Json::as_str).unwrap_or("layer").to_string(),
        input_shape: shape.and_then(dims),
        config,
        calls: Vec::new(),
    })
}

/// A shape, in which `null` is any extent.
fn dims(json: &Json) -> Option<Vec<Option<usize>>> {
    let extents = json.as_array()?.iter();
    let extents = extents.map(|extent| match extent {
        Json::Null => Some(None),
        extent => Some(Some(usize::try_from(extent.as_u64()?).ok()?)),
    });
    extents.collect()
}

fn sequential(config: &Json) -> Parsed<NetworkConfig> {
    // Keras 1 had the list of layers itself.
    let listed = config.get("layers").unwrap_or(config).as_array();
    let listed = listed.ok_or_else(|| damaged("layers"))?;
    let mut layers = listed.iter().map(layer).collect::<Parsed<Vec<_>>>()?;
    let built = config.get("build_input_shape").and_then(dims);
    let first = layers.first().ok_or_else(|| damaged("layers"))?;
    if first.class != "InputLayer" {
        let reads_integers = first.class == "Embedding";
        let shape = first.input_shape.clone().or(built).ok_or_else(|| {
            "its configuration does not say the shape of the input; call the model once, or give it an Input, and save it again"
                .to_string()
        })?;
        let input = LayerConfig {
            class: "InputLayer".to_string(),
            name: format!("{}_input", first.name),
            config: serde_json::json!({ "dtype": if reads_integers { "int32" } else { "float32" } }),
            calls: Vec::new(),
            input_shape: Some(shape),
        };
        layers.insert(0, input);
    }
    let mut last: Option<KerasTensor> = None;
    for layer in &mut layers {
        let inputs = last.take().map(KerasOperand::Tensor).into_iter().collect();
        layer.calls = vec![CallConfig {
            inputs,
            ..CallConfig::default()
        }];
        last = Some(KerasTensor {
            layer: layer.name.clone(),
            call: 0,
            result: 0,
        });
    }
    let first = KerasTensor {
        layer: layers[0].name.clone(),
        call: 0,
        result: 0,
    };
    Ok(NetworkConfig {
        layers,
        inputs: vec![first],
        outputs: last.into_iter().collect(),
    })
}

fn functional(config: &Json) -> Parsed<NetworkConfig> {
    let listed = config.get("layers").and_then(Json::as_array);
    let listed = listed.ok_or_else(|| damaged("layers"))?;
    let mut layers = Vec::new();
    for json in listed {
        let mut read = layer(json)?;
        let nodes = json.get("inbound_nodes").and_then(Json::as_array);
        let nodes = nodes.map(Vec::as_slice).unwrap_or_default();
        read.calls = nodes.iter().map(call).collect::<Parsed<_>>()?;
        if read.calls.is_empty() {
            read.calls.push(CallConfig::default());
        }
        layers.push(read);
    }
    let ends = |key: &str| -> Parsed<Vec<KerasTensor>> {
        let json = config.get(key).ok_or_else(|| damaged(key))?;
        let found = tensors(json);
        match found.is_empty() {
            true => Err(damaged(key)),
            false => Ok(found),
        }
    };
    let (inputs, outputs) = (ends("input_layers")?, ends("output_layers")?);
    Ok(NetworkConfig {
        layers,
        inputs,
        outputs,
    })
}

/// The tensors `["layer", 0, 0]` in `json`: one, a list of them, or a table.
fn tensors(json: &Json) -> Vec<KerasTensor> {
    if let Some(one) = tensor(json) {
        return vec![one];
    }
    match json {
        Json::Array(list) => list.iter().flat_map(tensors).collect(),
        Json::Object(table) => table.values().flat_map(tensors).collect(),
        _ => Vec::new(),
    }
}

fn tensor(json: &Json) -> Option<KerasTensor> {
    let [layer, call, result, ..] = json.as_array()?.as_slice() else {
        return None;
    };
    Some(KerasTensor {
        layer: layer.as_str()?.to_string(),
        call: usize::try_from(call.as_u64()?).ok()?,
        result: usize::try_from(result.as_u64()?).ok()?,
    })
}

/// A call: in Keras 3 `{ "args": [...], "kwargs": {...} }`, in Keras 2 a list of tensors, each with further arguments.
fn call(json: &Json) -> Parsed<CallConfig> {
    let mut call = CallConfig::default();
    if let Some(list) = json.as_array() {
        for one in list {
            let read = tensor(one).ok_or_else(|| damaged("readable connections"))?;
            call.inputs.push(KerasOperand::Tensor(read));
            if let Some(more) = one.get(3).and_then(Json::as_object) {
                for (name, value) in more {
                    named(&mut call, name, value);
                }
            }
        }
        return Ok(call);
    }
    let args = json.get("args").and_then(Json::as_array);
    for value in args.into_iter().flatten() {
        for operand in operands(value, 0) {
            call.inputs.push(operand);
        }
    }
    if let Some(more) = json.get("kwargs").and_then(Json::as_object) {
        for (name, value) in more {
            named(&mut call, name, value);
        }
    }
    Ok(call)
}

fn named(call: &mut CallConfig, name: &str, value: &Json) {
    match operands(value, 0).first() {
        Some(KerasOperand::Tensor(tensor)) => call.named.push((name.to_string(), tensor.clone())),
        _ => {
            if !call.settings.is_object() {
                call.settings = serde_json::json!({});
            }
            call.settings[name] = value.clone();
        }
    }
}

/// Tensors and constants in an argument. A list without tensors is one constant.
fn operands(json: &Json, depth: usize) -> Vec<KerasOperand> {
    if let Some(tensor) = read_tensor(json) {
        return vec![KerasOperand::Tensor(tensor)];
    }
    match json {
        Json::Array(list) if list.iter().any(|one| has_tensor(one, depth)) => {
            let all = list.iter().flat_map(|one| operands(one, depth + 1));
            all.collect()
        }
        Json::Null => Vec::new(),
        other => vec![KerasOperand::Constant(other.clone())],
    }
}

/// The tensor that `json` is, if it is one.
fn read_tensor(json: &Json) -> Option<KerasTensor> {
    let history = json.get("config").and_then(|c| c.get("keras_history"));
    history.and_then(tensor).or_else(|| tensor(json))
}

fn has_tensor(json: &Json, depth: usize) -> bool {
    let within = || match json {
        Json::Array(list) if depth < 4 => list.iter().any(|one| has_tensor(one, depth + 1)),
        _ => false,
    };
    read_tensor(json).is_some() || within()
}
