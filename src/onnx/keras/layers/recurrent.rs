//! Recurrent layers. Keras orders the gates of an LSTM input, forget, cell, output, and ONNX input, output, forget, cell.

use super::{Class, KerasSite, Made, class};
use crate::onnx::array::Array;
use crate::onnx::keras::net::{KerasValue, int, text, texts};
use crate::onnx::keras::stored::Weight;
use serde_json::Value as Json;

pub(super) const CLASSES: &[Class] = &[
    class("LSTM", |site| plain(site, Kind::Lstm)),
    class("GRU", |site| plain(site, Kind::Gru)),
    class("SimpleRNN", |site| plain(site, Kind::Rnn)),
    class("Bidirectional", bidirectional),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lstm,
    Gru,
    Rnn,
}

impl Kind {
    fn of(class: &str) -> Option<Kind> {
        match class {
            "LSTM" => Some(Kind::Lstm),
            "GRU" => Some(Kind::Gru),
            "SimpleRNN" => Some(Kind::Rnn),
            _ => None,
        }
    }

    fn op(self) -> &'static str {
        match self {
            Kind::Lstm => "LSTM",
            Kind::Gru => "GRU",
            Kind::Rnn => "RNN",
        }
    }

    /// For each gate of ONNX, its place in Keras.
    fn gates(self) -> &'static [usize] {
        match self {
            Kind::Lstm => &[0, 3, 1, 2],
            Kind::Gru => &[0, 1, 2],
            Kind::Rnn => &[0],
        }
    }
}

/// The weights of a direction, as ONNX has them.
struct Direction {
    /// `[gates H, I]`
    kernel: Array,
    /// `[gates H, H]`
    recurrent: Array,
    /// `[2 gates H]`
    bias: Option<Array>,
}

/// `[I, gates H]` as `[gates H, I]`, with the gates in ONNX's order.
fn ordered(kernel: &Array, kind: Kind, hidden: usize) -> Array {
    let inputs = kernel.dims[0];
    let gates = kind.gates();
    let mut numbers = Vec::with_capacity(kernel.len());
    for &gate in gates {
        for unit in 0..hidden {
            for input in 0..inputs {
                numbers.push(kernel.at(input * gates.len() * hidden + gate * hidden + unit));
            }
        }
    }
    Array::new(kernel.element, vec![gates.len() * hidden, inputs], numbers)
}

/// Biases of the input and of the state, one after another.
fn biases(bias: &Array, kind: Kind, hidden: usize) -> Array {
    let gates = kind.gates();
    let width = gates.len() * hidden;
    let mut numbers = Vec::with_capacity(2 * width);
    for row in 0..2 {
        for &gate in gates {
            for unit in 0..hidden {
                let at = row * width + gate * hidden + unit;
                numbers.push(if at < bias.len() { bias.at(at) } else { 0.0 });
            }
        }
    }
    Array::new(bias.element, vec![2 * width], numbers)
}

fn direction(
    site: &KerasSite<'_, '_>,
    kind: Kind,
    hidden: usize,
    use_bias: bool,
    within: &'static str,
    path: &'static str,
) -> Result<Direction, String> {
    let weight = |number, name| Weight {
        within,
        path,
        number,
        name,
    };
    let width = kind.gates().len() * hidden;
    let kernel = site.stored(weight(0, "kernel"), 2)?;
    let recurrent = site.stored(weight(1, "recurrent_kernel"), 2)?;
    if kernel.dims[1] != width || recurrent.dims != [hidden, width] {
        return Err(format!(
            "has weights of {:?} and {:?}, which do not fit {hidden} units; save the model again",
            kernel.dims, recurrent.dims
        ));
    }
    let bias = match use_bias {
        true => {
            let bias = site.optional(weight(2, "bias"));
            Some(bias.ok_or("has no weight bias in the file; save the model again, whole")?)
        }
        false => None,
    };
    if bias
        .as_ref()
        .is_some_and(|b| b.len() != width && b.len() != 2 * width)
    {
        return Err("has a bias that does not fit its units; save the model again".to_string());
    }
    Ok(Direction {
        kernel: ordered(&kernel, kind, hidden),
        recurrent: ordered(&recurrent, kind, hidden),
        bias: bias.map(|bias| biases(&bias, kind, hidden)),
    })
}

/// The name of an activation in ONNX's recurrent operators.
fn activation(json: Option<&Json>, default: &str) -> Result<String, String> {
    let name = json.and_then(Json::as_str).unwrap_or(default);
    Ok(match name {
        "tanh" => "Tanh",
        "sigmoid" => "Sigmoid",
        "relu" => "Relu",
        "softsign" => "Softsign",
        "softplus" => "Softplus",
        other => {
            return Err(format!(
                "has the activation {other}, which is not supported in a recurrent layer; export the model as ONNX"
            ));
        }
    }
    .to_string())
}

fn plain(site: &mut KerasSite<'_, '_>, kind: Kind) -> Made {
    let config = site.layer.config.clone();
    let hidden = site
        .count("units")
        .ok_or("has no units; save the model again")?;
    let bias = site.flag("use_bias", true);
    let direction = direction(site, kind, hidden, bias, "cell", "")?;
    let reverse = site.flag("go_backwards", false);
    let made = recurrent(site, kind, hidden, &config, vec![direction], reverse)?;
    // Keras leaves the results of a reversed sequence in the order in which they were computed.
    match reverse && flag(&config, "return_sequences") {
        true => Err(
            "goes backwards and returns sequences, which is not supported; use Bidirectional"
                .to_string(),
        ),
        false => Ok(made),
    }
}

fn flag(config: &Json, key: &str) -> bool {
    config.get(key).and_then(Json::as_bool).unwrap_or(false)
}

fn bidirectional(site: &mut KerasSite<'_, '_>) -> Made {
    let layer = site.setting("layer").cloned().unwrap_or_default();
    let class = layer
        .get("class_name")
        .and_then(Json::as_str)
        .unwrap_or("?");
    let kind =
        Kind::of(class).ok_or_else(|| format!("wraps a layer {class}, which is not supported"))?;
    let config = layer.get("config").cloned().unwrap_or_default();
    let hidden = config.get("units").and_then(Json::as_u64);
    let hidden = hidden.and_then(|units| usize::try_from(units).ok());
    let hidden = hidden.ok_or("has no units; save the model again")?;
    match site.text("merge_mode", "concat").as_str() {
        "concat" => {}
        other => {
            return Err(format!(
                "has merge_mode = \"{other}\", and only concat is supported"
            ));
        }
    }
    let bias = config
        .get("use_bias")
        .and_then(Json::as_bool)
        .unwrap_or(true);
    let directions = vec![
        direction(site, kind, hidden, bias, "forward_layer/cell", "forward_")?,
        direction(site, kind, hidden, bias, "backward_layer/cell", "backward_")?,
    ];
    recurrent(site, kind, hidden, &config, directions, false)
}

/// Arrays of the same shape one after another, along a new first axis.
fn stacked(arrays: &[&Array]) -> Array {
    let mut dims = vec![arrays.len()];
    dims.extend(&arrays[0].dims);
    let numbers = arrays.iter().flat_map(|array| array.iter()).collect();
    Array::new(arrays[0].element, dims, numbers)
}

fn recurrent(
    site: &mut KerasSite<'_, '_>,
    kind: Kind,
    hidden: usize,
    config: &Json,
    directions: Vec<Direction>,
    reverse: bool,
) -> Made {
    for key in ["return_state", "stateful"] {
        if flag(config, key) {
            return Err(format!(
                "has {key}, which is not supported; export the model as ONNX"
            ));
        }
    }
    if site.inputs.len() > 1 {
        return Err(
            "is given a state, which is not supported; export the model as ONNX".to_string(),
        );
    }
    let x = site.x()?;
    if x.rank != 3 {
        return Err(format!("reads values with {} axes, not 3", x.rank));
    }
    let kernels: Vec<&Array> = directions.iter().map(|d| &d.kernel).collect();
    if kernels.iter().any(|kernel| kernel.dims != kernels[0].dims) {
        return Err("has directions of different shapes; save the model again".to_string());
    }
    let kernel = site.net.weight("kernel", stacked(&kernels));
    let recurrents: Vec<&Array> = directions.iter().map(|d| &d.recurrent).collect();
    let recurrent = site.net.weight("recurrent_kernel", stacked(&recurrents));
    let biases: Option<Vec<&Array>> = directions.iter().map(|d| d.bias.as_ref()).collect();
    let bias = match biases {
        Some(biases) => site.net.weight("bias", stacked(&biases)),
        None => String::new(),
    };
    let own = activation(config.get("activation"), "tanh")?;
    let gate = activation(config.get("recurrent_activation"), "sigmoid")?;
    let each = match kind {
        Kind::Lstm => vec![gate, own.clone(), own],
        Kind::Gru => vec![gate, own],
        Kind::Rnn => vec![own],
    };
    let names: Vec<String> = directions.iter().flat_map(|_| each.clone()).collect();
    let way = match (directions.len(), reverse) {
        (2, _) => "bidirectional",
        (_, true) => "reverse",
        (_, false) => "forward",
    };
    let mut attributes = vec![
        int("hidden_size", hidden as i64),
        text("direction", way),
        texts("activations", &names),
    ];
    if kind == Kind::Gru {
        let after = config.get("reset_after").and_then(Json::as_bool);
        attributes.push(int("linear_before_reset", i64::from(after.unwrap_or(true))));
    }
    // [N, T, I] as [T, N, I]; the result is [T, directions, N, H].
    let time_first = site.net.transposed(&x.name, &[1, 0, 2]);
    let y = site.net.node(
        kind.op(),
        &[&time_first, &kernel, &recurrent, &bias],
        attributes,
    );
    let width = (directions.len() * hidden) as i64;
    let sequences = flag(config, "return_sequences");
    if sequences {
        // [N, T, directions, H], then the directions beside one another.
        let batch_first = site.net.transposed(&y, &[2, 0, 1, 3]);
        let shape = site.net.integers(&[0, 0, width]);
        return Ok(KerasValue {
            name: site
                .net
                .node("Reshape", &[&batch_first, &shape], Vec::new()),
            rank: 3,
        });
    }
    // The last step of the forward direction, and the first of the other, which ends there.
    let mut ends = Vec::new();
    for (at, _) in directions.iter().enumerate() {
        let is_reverse = reverse || at == 1;
        let step = if is_reverse { 0 } else { -1 };
        let step = site.net.integers(&[step]);
        let last = site.net.node("Gather", &[&y, &step], vec![int("axis", 0)]);
        let which = site.net.integers(&[at as i64]);
        let one = site
            .net
            .node("Gather", &[&last, &which], vec![int("axis", 1)]);
        let axes = site.net.integers(&[0, 1]);
        ends.push(site.net.node("Squeeze", &[&one, &axes], Vec::new()));
    }
    let name = match &ends[..] {
        [only] => only.clone(),
        several => {
            let names: Vec<&str> = several.iter().map(String::as_str).collect();
            site.net.node("Concat", &names, vec![int("axis", -1)])
        }
    };
    Ok(KerasValue { name, rank: 2 })
}
