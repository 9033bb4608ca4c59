use super::*;
use crate::cpu::Tensor;
use crate::data::Normalization;
use crate::device::Engine;
use crate::nn::{ModelSpec, Network};
use crate::tasks::{Models, TaskSettings, named};
use crate::toml_text::parse;
use serde::Deserialize;

/// What captum finds in the same images (tests/fixtures/make_explanations.py).
#[derive(Deserialize)]
struct Recorded {
    weights: Vec<Vec<f32>>,
    bytes: Vec<u8>,
    classes: Vec<u32>,
    saliency: Vec<Vec<f32>>,
    integrated_gradients: Vec<Vec<f32>>,
    grad_cam: Vec<Vec<f32>>,
    guided_grad_cam: Vec<Vec<f32>>,
    occlusion: Vec<Vec<f32>>,
}

const MODEL: &str = r#"
    name = "tiny"
    input = [8, 8, 1]
    layer = [
        { name = "conv1", type = "conv2d", filters = 4, kernel = 3, activation = "relu" },
        { name = "conv2", type = "conv2d", filters = 6, kernel = 3, activation = "relu" },
        { type = "flatten" },
        { name = "last", type = "dense", units = 3 },
    ]
"#;

fn recorded() -> Recorded {
    serde_json::from_str(include_str!("../../tests/fixtures/explanations.json")).unwrap()
}

fn explainer(recorded: &Recorded, layer: Option<&str>) -> Explainer<'static> {
    let spec: ModelSpec = parse(MODEL, "the model").unwrap();
    let models = Models::one(Network::new(spec).unwrap());
    let task = (named("classification").unwrap().make)(&TaskSettings::default()).unwrap();
    let values: Vec<Tensor<f32>> = models
        .state()
        .zip(&recorded.weights)
        .map(|(part, values)| Tensor::real(part.ty.shape.clone(), values.clone()))
        .collect();
    let normal = Normalization {
        mean: &[0.5],
        std: &[0.25],
    };
    let device = Engine::Cpu.device();
    let classifier = ImageClassifier::new(device, task.into(), models, &values, normal, 16);
    let settings = ExplainSettings {
        layer: layer.map(str::to_string),
        side: Some(2),
        ..ExplainSettings::default()
    };
    Explainer::new(classifier.unwrap(), settings)
}

fn images(recorded: &Recorded) -> Vec<Vec<f32>> {
    let pixels = |image: &[u8]| image.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    recorded.bytes.chunks(64).map(pixels).collect()
}

#[test]
fn attributions_are_those_of_captum() {
    let recorded = recorded();
    let mut explainer = explainer(&recorded, None);
    for (method, expected) in [
        (ExplainMethod::Saliency, &recorded.saliency),
        (
            ExplainMethod::IntegratedGradients,
            &recorded.integrated_gradients,
        ),
        (ExplainMethod::GradCam, &recorded.grad_cam),
        (ExplainMethod::GuidedGradCam, &recorded.guided_grad_cam),
        (ExplainMethod::Occlusion, &recorded.occlusion),
    ] {
        for (index, image) in images(&recorded).iter().enumerate() {
            let class = recorded.classes[index];
            let found = explainer.explain(method, image, class, index).unwrap();
            assert_eq!(found.values.len(), expected[index].len(), "{method:?}");
            let largest = expected[index]
                .iter()
                .fold(0.0f32, |most, x| most.max(x.abs()));
            for (a, b) in found.values.iter().zip(&expected[index]) {
                assert!(
                    (a - b).abs() < 1e-4 * largest.max(1e-3),
                    "{method:?}: {a} and {b}"
                );
            }
        }
    }
}

#[test]
fn integrated_gradients_add_up() {
    let recorded = recorded();
    let mut explainer = explainer(&recorded, None);
    // The gradient of rectifiers jumps, and the logits of one of these images are near those of a black one.
    explainer.settings.steps = 1000;
    for (index, image) in images(&recorded).iter().enumerate() {
        let method = ExplainMethod::IntegratedGradients;
        let found = explainer.explain(method, image, recorded.classes[index], index);
        let missed = found.unwrap().completeness.unwrap();
        assert!(missed < 0.01, "image {index}: {missed}");
    }
}

#[test]
fn noise_is_the_same_every_time_and_layers_have_names() {
    let recorded = recorded();
    let image = &images(&recorded)[0];
    let noisy = || explainer(&recorded, None).explain(ExplainMethod::SmoothGrad, image, 1, 0);
    assert_eq!(noisy().unwrap().values, noisy().unwrap().values);
    let cam =
        |layer| explainer(&recorded, Some(layer)).explain(ExplainMethod::GradCam, image, 1, 0);
    assert_eq!(cam("conv1").unwrap().shape, [6, 6, 1]);
    let error = cam("last").unwrap_err().to_string();
    assert!(error.contains("conv1, conv2"), "{error}");
}

#[test]
fn maps_depend_on_the_weights() {
    // Adebayo et al., "Sanity Checks for Saliency Maps", 2018: with other weights, other places matter.
    let mut recorded = recorded();
    let image = images(&recorded)[0].clone();
    let of = |recorded: &Recorded, method| {
        let found = explainer(recorded, None).explain(method, &image, 0, 0);
        found.unwrap().values
    };
    let methods = ExplainMethod::ALL;
    let before: Vec<Vec<f32>> = methods
        .iter()
        .map(|&method| of(&recorded, method))
        .collect();
    recorded
        .weights
        .iter_mut()
        .for_each(|weights| weights.reverse());
    for (&method, before) in methods.iter().zip(&before) {
        let after = of(&recorded, method);
        let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
        let (a, b) = (mean(before), mean(&after));
        let product = |x: &[f32], y: &[f32], a: f32, b: f32| -> f32 {
            x.iter().zip(y).map(|(x, y)| (x - a) * (y - b)).sum()
        };
        let own = product(before, before, a, a) * product(&after, &after, b, b);
        let correlation = product(before, &after, a, b) / own.sqrt().max(f32::MIN_POSITIVE);
        assert!(correlation.abs() < 0.7, "{method:?}: {correlation}");
    }
}

#[test]
fn a_page_shows_every_method() {
    let recorded = recorded();
    let mut explainer = explainer(&recorded, None);
    let pixels = images(&recorded)[0].clone();
    let explain = |method| explainer.explain(method, &pixels, 1, 0).unwrap();
    let image = ExplainedImage {
        name: "<a>".to_string(),
        shape: [8, 8, 1],
        predictions: vec![("b".to_string(), 0.9)],
        explained: "b".to_string(),
        explanations: ExplainMethod::ALL.into_iter().map(explain).collect(),
        nearest: vec![NearestExample {
            class: "<c>".to_string(),
            similarity: 0.5,
            pixels: pixels.clone(),
        }],
        pixels: pixels.clone(),
    };
    let page = ExplainedImage::page("run", &[image]).unwrap();
    assert!(page.contains("&lt;a&gt;") && page.contains("integrated gradients, sum"));
    assert_eq!(page.matches("<img").count(), 8);
    assert!(page.contains("&lt;c&gt;, cosine 0.500"));
}

#[test]
fn the_sanity_check_leaves_the_weights_as_they_were() {
    let recorded = recorded();
    let mut explainer = explainer(&recorded, None);
    let images: Vec<SanityImage> = images(&recorded)
        .into_iter()
        .zip(&recorded.classes)
        .map(|(pixels, &class)| SanityImage { pixels, class })
        .collect();
    let methods = [ExplainMethod::Saliency, ExplainMethod::GradCam];
    let logits = explainer.logits(&images[0].pixels).unwrap();
    let found = explainer.sanity(&methods, &images).unwrap();
    assert_eq!(found.layers, ["last", "conv2", "conv1"]);
    assert_eq!(explainer.logits(&images[0].pixels).unwrap(), logits);
    for own in &found.methods {
        assert_eq!(own.correlations.len(), 3);
        let all = own.correlations.iter().chain(&own.magnitudes);
        assert!(all.clone().all(|rho| rho.abs() <= 1.0 + 1e-12), "{own:?}");
    }
    let error = explainer.sanity(&methods, &[]).unwrap_err().to_string();
    assert!(error.contains("no image"), "{error}");
}

#[test]
fn the_nearest_training_image_of_one_is_itself() {
    let recorded = recorded();
    let mut explainer = explainer(&recorded, None);
    let train = crate::data::ImageSet {
        images: recorded.bytes.clone(),
        labels: vec![0, 1, 2, 1],
        height: 8,
        width: 8,
        channels: 1,
    };
    let images = images(&recorded);
    let wanted: Vec<&[f32]> = images.iter().map(|image| &image[..]).collect();
    let found = explainer.nearest(&wanted, &train.into(), 2).unwrap();
    for (index, found) in found.iter().enumerate() {
        assert_eq!((found.len(), found[0].index), (2, index));
        assert_eq!(found[0].class, Some([0, 1, 2, 1][index]));
        assert!((found[0].similarity - 1.0).abs() < 1e-6, "{found:?}");
        assert!(found[1].similarity <= found[0].similarity);
        assert_eq!(found[0].pixels, images[index]);
    }
}

#[test]
fn filters_are_drawn_and_channels_become_more_active() {
    let recorded = recorded();
    let mut explainer = explainer(&recorded, None);
    let filters = explainer.filters().unwrap();
    assert_eq!((&*filters.layer, filters.filters), ("conv1", 4));
    assert_eq!((filters.drawn, filters.shape), (4, [3, 3, 1]));
    assert!(image::load_from_memory(&filters.file).is_ok());
    let maps = explainer.activation_maps("conv2").unwrap();
    let pixels = explainer.shape().iter().product();
    let dark = explainer.activations(&maps, &vec![0.0; pixels]).unwrap();
    let light = explainer.activations(&maps, &vec![1.0; pixels]).unwrap();
    assert_eq!((light.shape[2], light.means.len(), light.drawn), (6, 6, 6));
    assert_ne!(dark.means, light.means);
    assert!(
        light.means.iter().all(|&mean| mean >= 0.0),
        "after the ReLU"
    );
    assert!(image::load_from_memory(&light.file).is_ok());
    let error = explainer
        .activation_maps("dense")
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("--activations dense"), "{error}");
    let found = explainer.maximise("conv2", None, 40).unwrap();
    assert_eq!(found.channels.len(), 6);
    for channel in &found.channels {
        assert!(channel.after > channel.before, "{channel:?}");
    }
    let one = explainer.maximise("conv2", Some(5), 40).unwrap();
    assert_eq!(one.channels[0].after, found.channels[5].after);
    for (layer, channel, why) in [
        ("conv", None, "its convolutions are conv1, conv2"),
        ("conv1", Some(4), "it has 4, from 0 on"),
    ] {
        let error = explainer.maximise(layer, channel, 1).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}
