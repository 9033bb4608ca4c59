//! Networks as models: several inputs and outputs, several passes and several networks in one graph, and how layers combine
//! values of different shapes and orders. All run in the reference.

use std::collections::HashMap;
use std::sync::Arc;
use wgrad::cpu::{Tensor, Variables, interpret};
use wgrad::graph::{Builder, Graph};
use wgrad::nn::{Forward, Model, ModelSpec, Network, Training};
use wgrad::tensor::TensorType;
use wgrad::toml_text::parse;

fn spec(text: &str) -> ModelSpec {
    parse(text, "m.toml").unwrap()
}

/// A network that takes `input` and has these `layers`, one per line, with attributes separated by semicolons.
fn network(input: &str, layers: &str) -> Network {
    Network::new(spec(&text(input, layers))).unwrap()
}

fn text(input: &str, layers: &str) -> String {
    let mut text = format!("name = \"m\"\n{input}\n");
    for layer in layers.lines() {
        text.push_str("[[layer]]\n");
        text.push_str(&layer.replace("; ", "\n"));
        text.push('\n');
    }
    text
}

#[track_caller]
fn refused(input: &str, layers: &str, parts: &[&str]) {
    let text = text(input, layers);
    let error = match parse::<ModelSpec>(&text, "m.toml") {
        Ok(spec) => Network::new(spec).unwrap_err(),
        Err(error) => error,
    };
    let error = error.to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

/// Runs one step of `graph`, which updates `variables`, and returns its outputs.
fn step(graph: &Graph, variables: &mut Variables<f64>, valid: usize) -> Vec<Vec<f64>> {
    let scalar = |name: &str, value: Tensor<f32>| (name.to_string(), Arc::new(value.to_f64()));
    let inputs = HashMap::from([
        scalar("step", Tensor::index([], vec![3])),
        scalar("valid", Tensor::index([], vec![valid as u32])),
        scalar("inverse_valid", Tensor::real([], vec![1.0 / valid as f32])),
    ]);
    let outputs = interpret(graph, variables, &inputs).unwrap();
    outputs.iter().map(|y| y.reals().to_vec()).collect()
}

fn training(builder: &Builder) -> Training<'_> {
    Training {
        step: builder.input("step", TensorType::u32([])),
        valid: builder.input("valid", TensorType::u32([])),
        inverse_valid: builder.input("inverse_valid", TensorType::f32([])),
        seed: 5,
    }
}

/// The only output of `network` for the samples `x`, evaluated with these weights.
fn evaluated(network: &Network, x: &Tensor<f32>, weights: &[Tensor<f32>]) -> Vec<f64> {
    let builder = Builder::new();
    let fed = builder.variable("x", x.ty()).unwrap();
    let mut cx = Forward::evaluation(&builder);
    let y = network.forward_one(&mut cx, fed).unwrap();
    builder.output("y", y);
    cx.finish().unwrap();
    let mut variables = variables(network, weights);
    variables.insert("x".to_string(), Arc::new(x.to_f64()));
    step(&builder.finish().unwrap(), &mut variables, 1).swap_remove(0)
}

fn variables(network: &Network, weights: &[Tensor<f32>]) -> Variables<f64> {
    let names = network.state().map(|part| part.name.clone());
    let values = weights.iter().map(|value| Arc::new(value.to_f64()));
    names.zip(values).collect()
}

/// Irregular numbers, multiples of a quarter from -2 to 2.
fn scattered(count: usize, salt: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7 + i * i * 3 + salt * 5) % 17) as f32 / 4.0 - 2.0;
    (0..count).map(number).collect()
}

#[track_caller]
fn assert_close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() < 1e-6, "{got} is not {want}");
    }
}

// Passes

#[test]
fn a_second_pass_moves_the_running_statistics_on_from_the_first() {
    let network = network("input = [1]", "name = \"n\"; type = \"batch_norm\"");
    let batches = [[1.0, 3.0], [10.0, 30.0]];
    let after = |passes: usize| {
        let builder = Builder::new();
        let mut cx = Forward::training(&builder, training(&builder));
        let mut variables = variables(&network, &network.initial_state(1));
        for (n, batch) in batches.iter().take(passes).enumerate() {
            let x = Tensor::real([2, 1], batch.to_vec());
            let name = format!("x{n}");
            let fed = builder.variable(&name, x.ty()).unwrap();
            variables.insert(name, Arc::new(x.to_f64()));
            network.forward_one(&mut cx, fed).unwrap();
        }
        cx.finish().unwrap();
        let graph = builder.finish().unwrap();
        assert_eq!(graph.updates.len(), 2);
        step(&graph, &mut variables, 2);
        ["n.running_mean", "n.running_var"].map(|name| variables[name].reals()[0])
    };
    // torch.nn.BatchNorm1d(1) gives these values: means 2 and 20, unbiased variances 2 and 200, a momentum of 0.1.
    assert_close(&after(1), &[0.2, 0.9 + 0.2]);
    assert_close(&after(2), &[0.18 + 2.0, 0.9 * 1.1 + 20.0]);
}

#[test]
fn two_passes_drop_other_elements_and_the_first_the_same_as_alone() {
    let network = network("input = [64]", "type = \"dropout\"; rate = 0.5");
    let masks = |passes: usize| {
        let builder = Builder::new();
        let mut cx = Forward::training(&builder, training(&builder));
        let x = Tensor::real([1, 64], vec![1.0; 64]);
        let fed = builder.variable("x", x.ty()).unwrap();
        for pass in 0..passes {
            let y = network.forward_one(&mut cx, fed).unwrap();
            builder.output(&format!("{pass}"), y);
        }
        cx.finish().unwrap();
        let mut variables = Variables::from([("x".to_string(), Arc::new(x.to_f64()))]);
        step(&builder.finish().unwrap(), &mut variables, 1)
    };
    let (one, two) = (masks(1), masks(2));
    assert_eq!(one[0], two[0]);
    assert_ne!(two[0], two[1]);
}

#[test]
fn random_streams_are_counted_apart_from_0() {
    let builder = Builder::new();
    let mut cx = Forward::training(&builder, training(&builder));
    assert!(cx.is_training());
    assert_eq!([cx.dropout_stream(), cx.dropout_stream()], [0, 1]);
    assert_eq!([cx.augment_stream(), cx.augment_stream()], [0, 1]);
    assert_eq!(cx.dropout_stream(), 2);
}

// Inputs and outputs

const TWO_INPUTS: &str = "outputs = [\"mask\", \"class\"]\n[inputs]\nimage = [2, 2, 1]\nrow = [3]";
const TWO_BRANCHES: &str =
    "name = \"mask\"; type = \"activation\"; input = \"image\"; function = \"relu\"
type = \"flatten\"
name = \"both\"; type = \"concat\"; inputs = [\"flatten1\", \"row\"]
name = \"class\"; type = \"dense\"; units = 2; bias = false";

#[test]
fn several_inputs_and_outputs_have_names_and_an_order() {
    let network = network(TWO_INPUTS, TWO_BRANCHES);
    let inputs = network.inputs().iter().map(|input| input.name.as_str());
    assert_eq!(inputs.collect::<Vec<_>>(), ["image", "row"]);
    let outputs = network.outputs().iter();
    let outputs: Vec<_> = outputs.map(|o| (o.name.as_str(), &o.shape[..])).collect();
    assert_eq!(outputs, [("mask", &[2, 2, 1][..]), ("class", &[2])]);

    let builder = Builder::new();
    let fed = [
        builder
            .variable("a", TensorType::f32([1, 2, 2, 1]))
            .unwrap(),
        builder.variable("b", TensorType::f32([1, 3])).unwrap(),
    ];
    let mut cx = Forward::evaluation(&builder);
    let results = network.forward(&mut cx, &fed).unwrap();
    for (output, result) in network.outputs().iter().zip(results) {
        builder.output(&output.name, result);
    }
    let weight = vec![
        1., 10., 100., 1000., 0.5, 0.25, 2., 0., 0., 0., 0., 1., 1., 1.,
    ];
    let mut variables = variables(&network, &[Tensor::real([2, 7], weight)]);
    let image = Tensor::real([1, 2, 2, 1], vec![1.0, -2.0, 3.0, 4.0]);
    let row = Tensor::real([1, 3], vec![2.0, 4.0, 8.0]);
    for (name, value) in [("a", image), ("b", row)] {
        variables.insert(name.to_string(), Arc::new(value.to_f64()));
    }
    let results = step(&builder.finish().unwrap(), &mut variables, 1);
    assert_close(&results[0], &[1.0, 0.0, 3.0, 4.0]);
    assert_close(&results[1], &[4301.0 + 1.0 + 1.0 + 16.0, 14.0]);
}

#[test]
fn one_input_and_the_last_layer_are_called_input_and_output() {
    let network = network("input = [4]", "type = \"dense\"; units = 2");
    assert_eq!(network.inputs()[0].name, "input");
    assert_eq!(network.outputs()[0].name, "output");
}

#[test]
fn a_network_may_end_in_any_shape() {
    let network = network(
        "input = [8, 8, 1]",
        "type = \"conv2d\"; filters = 4; kernel = 3",
    );
    assert_eq!(network.outputs()[0].shape, [6, 6, 4]);
}

#[test]
fn models_survive_being_written_and_read() {
    let tokens = "[inputs]\ntext = { tokens = 4, vocabulary = 9, padded = true }\nrow = \"auto\"";
    for (input, layers) in [
        (TWO_INPUTS, TWO_BRANCHES),
        (tokens, TWO_BRANCHES),
        ("input = \"auto\"", "type = \"flatten\""),
        (
            "input = { tokens = 4, vocabulary = 9 }",
            "type = \"flatten\"",
        ),
    ] {
        let spec = spec(&text(input, layers));
        assert_eq!(self::spec(&toml::to_string(&spec).unwrap()), spec);
    }
}

#[test]
fn inputs_and_outputs_that_can_not_be_are_named() {
    let dense = "type = \"dense\"; units = 2";
    let both = "input = [3]\n[inputs]\nrow = [3]";
    refused(both, dense, &["model m has both input and inputs"]);
    refused("", dense, &["model m has no input", "[inputs]"]);
    let of = |name: &str| format!("[inputs]\n{name} = [3]\nrow = [3]");
    refused(
        &of("\"a.b\""),
        dense,
        &["one of several inputs can't be called \"a.b\""],
    );
    refused(
        &of("input"),
        dense,
        &["one of several inputs can't be called \"input\""],
    );
    refused(
        &of("image"),
        dense,
        &["layer dense1 must name the input", "image, row"],
    );
    let one = "type = \"dense\"; units = 2; input = \"row\"";
    refused(&of("image"), one, &["the input image is not used"]);
    let named = "name = \"row\"; type = \"dense\"; units = 2; input = \"image\"";
    refused(
        &of("image"),
        named,
        &["a layer and an input are both called row"],
    );
    let auto = "[inputs]\nimage = \"auto\"\nrow = [3]";
    refused(auto, one, &["model m, input image", "from the data"]);

    let outputs = |names: &str| format!("outputs = [{names}]\ninput = [3]");
    let two = "name = \"hidden\"; type = \"dense\"; units = 2\nname = \"last\"; type = \"dense\"; units = 2";
    refused(
        &outputs("\"hiden\""),
        two,
        &["outputs names hiden", "did you mean `hidden`?"],
    );
    refused(
        &outputs("\"last\", \"last\""),
        two,
        &["outputs names last twice"],
    );
    refused(
        &outputs("\"hidden\""),
        two,
        &["the output of layer last is not used", "outputs"],
    );
    let unused = format!("{two}\nname = \"side\"; type = \"dense\"; units = 2; input = \"hidden\"");
    refused(
        "input = [3]",
        &unused,
        &["the output of layer last is not used"],
    );
    Network::new(spec(&text(&outputs("\"last\", \"side\""), &unused))).unwrap();
}

#[test]
fn batches_that_are_not_the_models_are_refused() {
    let network = network(TWO_INPUTS, TWO_BRANCHES);
    let builder = Builder::new();
    let variable = |name: &str, dims: &[usize]| builder.variable(name, TensorType::f32(dims));
    let (image, row) = (
        variable("a", &[2, 2, 2, 1]).unwrap(),
        variable("b", &[3, 3]).unwrap(),
    );
    let mut cx = Forward::evaluation(&builder);
    let error = network
        .forward(&mut cx, &[image, row])
        .unwrap_err()
        .to_string();
    assert!(error.contains("f32[2,3] as row"), "{error}");
    let error = network.forward(&mut cx, &[image]).unwrap_err().to_string();
    assert!(
        error.contains("takes 2 inputs, but 1 were given"),
        "{error}"
    );
}

// Several networks in one graph

#[test]
fn networks_under_prefixes_share_a_graph_but_no_weights() {
    let tied = "name = \"embedding\"; type = \"embedding\"; width = 3
name = \"head\"; type = \"dense\"; units = \"vocabulary\"; bias = false; tied = \"embedding\"";
    let plain = network("input = { tokens = 2, vocabulary = 5 }", tied);
    let one = plain.clone().with_prefix("teacher");
    let models: Vec<Arc<dyn Model>> = vec![Arc::new(one), Arc::new(plain.clone())];
    assert_eq!(models[0].parameters()[0].name, "teacher.embedding.weight");
    let aliases = [(
        "teacher.head.weight".to_string(),
        "teacher.embedding.weight".to_string(),
    )];
    assert_eq!(models[0].aliases(), aliases);
    assert_eq!(models[0].initial_state(4), plain.initial_state(4));

    let builder = Builder::new();
    let x = builder.variable("x", TensorType::u32([1, 2])).unwrap();
    let mut cx = Forward::evaluation(&builder);
    for model in &models {
        builder.output(model.name(), model.forward_one(&mut cx, x).unwrap());
    }
    let graph = builder.finish().unwrap();
    let mut values = Variables::<f64>::from([(
        "x".to_string(),
        Arc::new(Tensor::<f64>::index([1, 2], vec![1, 4])),
    )]);
    for (model, value) in models.iter().zip([1.0, 2.0]) {
        let weight = Tensor::real([5, 3], vec![value; 15]);
        values.insert(
            model.parameters()[0].name.clone(),
            Arc::new(weight.to_f64()),
        );
    }
    let results = step(&graph, &mut values, 1);
    assert_close(&results[0], &[3.0; 10]);
    assert_close(&results[1], &[12.0; 10]);
}

#[test]
fn statistics_and_their_count_go_under_the_prefix() {
    let network = network("input = [3]", "name = \"n\"; type = \"batch_norm\"").with_prefix("g");
    let names: Vec<_> = network.state().map(|part| part.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "g.n.weight",
            "g.n.bias",
            "g.n.running_mean",
            "g.n.running_var"
        ]
    );
    assert_eq!(network.counters(), ["g.n.num_batches_tracked"]);
    let network = network.with_prefix("outer");
    assert_eq!(network.parameters()[0].name, "outer.g.n.weight");
}

// Values of different shapes

/// Sequences `[n, time, channels]`, and the result of `layer` for them and a row for each, its first position.
fn gated(layer: &str, batch: usize) -> (Vec<f32>, Vec<f64>) {
    let layers = format!(
        "name = \"first\"; type = \"time_pool\"; by = \"first\"
name = \"gate\"; type = \"{layer}\"; inputs = [\"input\", \"first\"]"
    );
    let network = network("input = [3, 2]", &layers);
    let x = scattered(batch * 6, 1);
    let y = evaluated(&network, &Tensor::real([batch, 3, 2], x.clone()), &[]);
    (x, y)
}

#[test]
fn a_row_goes_to_every_position_of_its_own_sample() {
    // Includes 3 samples of 3 positions.
    for batch in [1, 2, 3, 4] {
        for layer in ["multiply", "add"] {
            let (x, y) = gated(layer, batch);
            let want = (0..batch * 6).map(|at| {
                let (value, row) = (f64::from(x[at]), f64::from(x[at / 6 * 6 + at % 2]));
                match layer {
                    "multiply" => value * row,
                    _ => value + row,
                }
            });
            assert_close(&y, &want.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_row_goes_to_every_pixel_of_its_own_image() {
    for (layer, batch) in [("multiply", 2), ("multiply", 3), ("add", 2), ("add", 3)] {
        let layers = format!(
            "name = \"row\"; type = \"global_avg_pool2d\"
name = \"y\"; type = \"{layer}\"; inputs = [\"row\", \"input\"]"
        );
        let network = network("input = [2, 1, 3]", &layers);
        let x = scattered(batch * 6, 2);
        let y = evaluated(&network, &Tensor::real([batch, 2, 1, 3], x.clone()), &[]);
        let want = (0..batch * 6).map(|at| {
            let first = at / 6 * 6 + at % 3;
            let row = f64::from(x[first] + x[first + 3]) / 2.0;
            match layer {
                "multiply" => f64::from(x[at]) * row,
                _ => f64::from(x[at]) + row,
            }
        });
        assert_close(&y, &want.collect::<Vec<_>>());
    }
}

#[test]
fn values_that_do_not_pair_within_a_sample_are_refused() {
    let rows = "name = \"rows\"; type = \"rows\"; input = \"input\"";
    for layer in ["multiply", "add"] {
        let layers = format!("{rows}\ntype = \"{layer}\"; inputs = [\"rows\", \"input\"]");
        refused(
            "input = [4, 3, 3]",
            &layers,
            &[&format!("layer {layer}1 does not fit")],
        );
    }
    let pooled = "name = \"row\"; type = \"time_pool\"; by = \"mean\"\nname = \"d\"; type = \"dense\"; units = 3";
    for layer in ["multiply", "add"] {
        let layers = format!("{pooled}\ntype = \"{layer}\"; inputs = [\"d\", \"input\"]");
        refused("input = [3, 4]", &layers, &["of the same shape", "[3,4]"]);
    }
}

// Flattened images

/// Samples, height, width and channels of the images below.
const IMAGES: [usize; 4] = [2, 2, 3, 2];

/// Sample `n` of `x` `[n, height, width, channels]`, flattened as by PyTorch: channel by channel.
fn flattened(x: &[f32], n: usize) -> Vec<f64> {
    let [_, height, width, channels] = IMAGES;
    let (pixels, sample) = (height * width, &x[n * height * width * channels..]);
    let feature = |at: usize| f64::from(sample[at % pixels * channels + at / pixels]);
    (0..pixels * channels).map(feature).collect()
}

/// Compares `layers`, which end in a dense layer of one unit without bias, with PyTorch's result for the same weight file: the
/// products with the features that `want` makes of a flattened image and its sigmoid.
#[track_caller]
fn assert_order(layers: &str, want: impl Fn(&[f64], &[f64]) -> Vec<f64>) {
    let prefix = "name = \"a\"; type = \"flatten\"
name = \"s\"; type = \"activation\"; function = \"sigmoid\"; input = \"input\"
name = \"b\"; type = \"flatten\"";
    let network = network(
        "input = [2, 3, 2]",
        &format!("{prefix}\n{layers}\ntype = \"dense\"; units = 1; bias = false"),
    );
    let x = scattered(IMAGES.iter().product(), 3);
    let last = network.parameters().last().unwrap();
    let file = scattered(last.ty.elements(), 4);
    let mut weights = network.initial_state(1);
    weights[network.parameters().len() - 1] = last.from_file(&file);
    let got = evaluated(&network, &Tensor::real(IMAGES, x.clone()), &weights);
    let samples = (0..IMAGES[0]).map(|n| {
        let a = flattened(&x, n);
        let b: Vec<f64> = a.iter().map(|a| 1.0 / (1.0 + (-a).exp())).collect();
        let features = want(&a, &b);
        assert_eq!(features.len(), file.len());
        features
            .iter()
            .zip(&file)
            .map(|(x, w)| x * f64::from(*w))
            .sum()
    });
    assert_close(&got, &samples.collect::<Vec<f64>>());
}

fn each(a: &[f64], b: &[f64], of: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, &b)| of(a, b)).collect()
}

#[test]
fn weights_after_flattened_images_that_are_put_together_lie_as_in_pytorch() {
    assert_order("type = \"add\"; inputs = [\"a\", \"b\"]", |a, b| {
        each(a, b, |a, b| a + b)
    });
    assert_order("type = \"multiply\"; inputs = [\"a\", \"b\"]", |a, b| {
        each(a, b, |a, b| a * b)
    });
    assert_order("type = \"concat\"; inputs = [\"a\", \"b\"]", |a, b| {
        [a, b].concat()
    });
}

#[test]
fn weights_after_a_flattened_image_beside_a_row_or_zeros_lie_as_in_pytorch() {
    let mean = |a: &[f64], channel: usize| a[channel * 6..][..6].iter().sum::<f64>() / 6.0;
    let row = "name = \"row\"; type = \"global_avg_pool2d\"; input = \"input\"";
    let sum = "name = \"sum\"; type = \"add\"; inputs = [\"a\", \"b\"]";
    assert_order(
        &format!("{row}\n{sum}\ntype = \"concat\"; inputs = [\"row\", \"sum\", \"row\"]"),
        |a, b| {
            let row = [mean(a, 0), mean(a, 1)];
            [&row[..], &each(a, b, |a, b| a + b), &row[..]].concat()
        },
    );
    assert_order(
        &format!(
            "{sum}\ntype = \"pad_channels\"; channels = 15\ntype = \"activation\"; function = \"relu\""
        ),
        |a, b| {
            let sum = each(a, b, |a, b| (a + b).max(0.0));
            [&[0.0][..], &sum, &[0.0, 0.0]].concat()
        },
    );
}

#[test]
fn a_single_feature_beside_a_flattened_image_has_no_order() {
    let gate = "name = \"gate\"; type = \"dense\"; units = 1; bias = false; input = \"row\"; weight_init = { normal = 0.0 }
name = \"open\"; type = \"activation\"; function = \"sigmoid\"";
    let row = "name = \"row\"; type = \"global_avg_pool2d\"; input = \"input\"";
    assert_order(
        &format!(
            "{row}\n{gate}\nname = \"sum\"; type = \"add\"; inputs = [\"a\", \"b\"]\ntype = \"multiply\"; inputs = [\"open\", \"sum\"]"
        ),
        |a, b| each(a, b, |a, b| (a + b) / 2.0),
    );
}

#[test]
fn the_weight_of_a_norm_after_an_add_of_flattened_images_lies_as_in_pytorch() {
    let layers = "name = \"a\"; type = \"flatten\"
name = \"sum\"; type = \"add\"; inputs = [\"a\", \"a\"]
name = \"n\"; type = \"batch_norm\"; eps = 1e-12";
    let network = network("input = [2, 3, 2]", layers);
    let x = scattered(IMAGES.iter().product(), 3);
    let file = scattered(12, 4);
    let mut weights = network.initial_state(1);
    weights[0] = network.parameters()[0].from_file(&file);
    let got = evaluated(&network, &Tensor::real(IMAGES, x.clone()), &weights);
    // The result itself has the order of the engine: pixel by pixel.
    for n in 0..IMAGES[0] {
        let a = flattened(&x, n);
        for (at, value) in a.iter().enumerate() {
            let (channel, pixel) = (at / 6, at % 6);
            let found = got[n * 12 + pixel * 2 + channel];
            assert!((found - 2.0 * value * f64::from(file[at])).abs() < 1e-6);
        }
    }
}

#[test]
fn orders_that_can_not_be_carried_are_refused() {
    let flat = "name = \"a\"; type = \"flatten\"";
    let dense = "name = \"d\"; type = \"dense\"; units = 12\nname = \"n\"; type = \"flatten\"; input = \"input\"";
    for layer in ["add", "multiply"] {
        let layers = format!("{flat}\n{dense}\ntype = \"{layer}\"; inputs = [\"d\", \"n\"]");
        refused("input = [2, 3, 2]", &layers, &["another order", "flatten"]);
    }
    let turned = "name = \"p\"; type = \"conv2d\"; kernel = [2, 1]; filters = 4; input = \"input\"\nname = \"b\"; type = \"flatten\"";
    let layers = format!("{flat}\n{turned}\ntype = \"add\"; inputs = [\"a\", \"b\"]");
    refused("input = [2, 3, 2]", &layers, &["another order"]);
    let norm = format!("{flat}\ntype = \"local_response_norm\"; size = 3");
    refused("input = [2, 3, 2]", &norm, &["put it before the flatten"]);
    let norm = format!("{flat}\ntype = \"group_norm\"; groups = 2");
    refused("input = [2, 3, 2]", &norm, &["put it before the flatten"]);
    // With one channel, both orders are the same.
    network("input = [2, 6, 1]", &norm);
}

// Padded tokens

#[test]
fn padded_tokens_are_not_transposed() {
    let layers = "type = \"embedding\"; width = 4\ntype = \"transpose\"";
    let padded = "input = { tokens = 3, vocabulary = 9, padded = true }";
    refused(padded, layers, &["layer transpose1", "padding"]);
    let whole = network("input = { tokens = 3, vocabulary = 9 }", layers);
    assert_eq!(whole.outputs()[0].shape, [4, 3]);
}

#[test]
fn sequences_of_two_padded_texts_are_not_put_together() {
    let layers = "name = \"a\"; type = \"embedding\"; width = 4; input = \"left\"
name = \"b\"; type = \"embedding\"; width = 4; input = \"right\"
name = \"sum\"; type = \"add\"; inputs = [\"a\", \"b\"]";
    let tokens = |name: &str| format!("{name} = {{ tokens = 3, vocabulary = 9, padded = true }}");
    let inputs = format!("[inputs]\n{}\n{}", tokens("left"), tokens("right"));
    refused(&inputs, layers, &["layer sum", "whose padding differs"]);
    let pooled = layers.replace(
        "name = \"sum\"; type = \"add\"; inputs = [\"a\", \"b\"]",
        "name = \"pb\"; type = \"time_pool\"; by = \"mean\"
name = \"pa\"; type = \"time_pool\"; by = \"mean\"; input = \"a\"
name = \"sum\"; type = \"add\"; inputs = [\"pa\", \"pb\"]",
    );
    assert_eq!(network(&inputs, &pooled).outputs()[0].shape, [4]);
}

const TRANSLATES: &str = "
name = \"m\"
inputs = { source = { tokens = 3, vocabulary = 5, padded = true }, target = { tokens = 4, vocabulary = 5 } }
[[block.reader.layer]]
type = \"dense\"
name = \"keys\"
units = 8
input = \"memory\"
[[block.reader.layer]]
type = \"cross_attention\"
heads = 2
inputs = [\"input\", \"keys\"]
[[layer]]
type = \"embedding\"
name = \"memory\"
width = 4
input = \"source\"
[[layer]]
type = \"embedding\"
width = 4
input = \"target\"
[[layer]]
type = \"block\"
block = \"reader\"
";

#[test]
fn a_block_may_take_a_layer_of_the_model_above_it() {
    let network = Network::new(spec(TRANSLATES)).unwrap();
    assert_eq!(network.outputs()[0].shape, [4, 4]);
    network.check_decoding("target").unwrap();
    let below = TRANSLATES.replace("input = \"memory\"", "input = \"memories\"");
    let error = Network::new(spec(&below)).unwrap_err().to_string();
    assert!(error.contains("there is no such layer"), "{error}");
}

#[test]
fn what_looks_ahead_can_not_be_decoded_position_by_position() {
    let attention = "[[layer]]\ntype = \"self_attention\"\nheads = 2\n";
    let network = Network::new(spec(&format!("{TRANSLATES}{attention}"))).unwrap();
    let error = network.check_decoding("target").unwrap_err().to_string();
    assert!(
        error.contains("layer attention1") && error.contains("causal"),
        "{error}"
    );
    let causal = format!("{TRANSLATES}{attention}causal = true\n");
    Network::new(spec(&causal))
        .unwrap()
        .check_decoding("target")
        .unwrap();
}
