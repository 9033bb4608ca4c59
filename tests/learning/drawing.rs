//! Images drawn from noise: every task that draws gives the same ones for the same seed, on the reference and on an adapter, and
//! models that know classes draw those that are asked for.

use crate::support;
use std::sync::Arc;
use wgrad::device::Engine;
use wgrad::generate::{DrawSettings, Drawing};
use wgrad::nn::{Model, ModelSpec, Network};
use wgrad::run::{Length, Monitor, RunParts, Saving};
use wgrad::tasks::{Models, REGISTRY, TaskCase, named};
use wgrad::train::Recipe;

/// A run of the case with random weights.
fn parts(case: &TaskCase) -> RunParts {
    let network = |(role, spec): &(&'static str, ModelSpec)| -> (String, Arc<dyn Model>) {
        let network = Network::new(spec.clone()).unwrap().with_prefix(role);
        (role.to_string(), Arc::new(network))
    };
    let task = named(case.task.name.as_deref().unwrap()).unwrap();
    RunParts {
        task: (task.make)(&case.task).unwrap().into(),
        models: Models::named(case.models.iter().map(network).collect()),
        recipe: Recipe {
            seed: 3,
            ..Recipe::default()
        },
        length: Length {
            epochs: 1,
            steps: None,
            steps_per_epoch: None,
            shuffle: true,
        },
        monitor: Monitor::default(),
        saving: Saving::default(),
        tensorboard: false,
        privacy: None,
        federated: None,
        data: case.data.clone(),
        fitted: case.fitted.clone(),
        values: None,
        title: "a drawing".to_string(),
    }
}

fn drawn(engine: &Engine, case: &TaskCase, wanted: &DrawSettings, count: usize) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut drawing = Drawing::new(engine, parts(case), wanted).unwrap();
    drawing
        .draw(count, |_, file| {
            files.push(file);
            Ok(())
        })
        .unwrap();
    files
}

fn seeded(seed: u64) -> DrawSettings {
    DrawSettings {
        seed,
        ..DrawSettings::default()
    }
}

/// Calls `test` with the case of every task that draws images.
fn each(test: impl Fn(&TaskCase)) {
    let mut count = 0;
    for task in REGISTRY {
        let case = (task.sample)().unwrap();
        if (task.make)(&case.task).unwrap().draws_samples() {
            println!("task {}", task.name);
            test(&case);
            count += 1;
        }
    }
    assert!(count >= 3, "only {count} tasks draw images");
}

#[test]
fn the_same_seed_draws_the_same_images_however_many() {
    each(|case| {
        let of = |seed, count| drawn(&Engine::Cpu, case, &seeded(seed), count);
        let many = of(7, 70);
        assert_eq!(many.len(), 70);
        assert_eq!(many[..5], of(7, 5));
        assert_ne!(many[..5], of(8, 5));
        assert_ne!(many[0], many[64]);
    });
}

#[test]
fn an_adapter_draws_the_images_of_the_reference() {
    let Some(gpu) = support::engine() else { return };
    each(|case| {
        let pixels = |engine| -> Vec<u8> {
            let files = drawn(engine, case, &seeded(7), 3);
            let image = |file: &Vec<u8>| image::load_from_memory(file).unwrap().to_luma8();
            files
                .iter()
                .flat_map(|file| image(file).into_raw())
                .collect()
        };
        let (ours, theirs) = (pixels(&Engine::Cpu), pixels(gpu));
        assert_eq!(ours.len(), theirs.len());
        let apart = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(1), "{apart:?}");
    });
}

#[test]
fn a_diffusion_draws_in_as_many_steps_as_asked_for() {
    let case = (named("diffusion").unwrap().sample)().unwrap();
    let steps = |steps| DrawSettings {
        seed: 7,
        steps: Some(steps),
        ..DrawSettings::default()
    };
    let of = |count| drawn(&Engine::Cpu, &case, &steps(count), 2);
    assert_ne!(of(3), of(20));
    assert_eq!(of(50), drawn(&Engine::Cpu, &case, &seeded(7), 2));
    let error = Drawing::new(&Engine::Cpu, parts(&case), &steps(101)).err();
    let message = error.unwrap().to_string();
    assert!(message.contains("1 to 100 steps"), "{message}");
    let gan = (named("gan").unwrap().sample)().unwrap();
    let error = Drawing::new(&Engine::Cpu, parts(&gan), &steps(3)).err();
    assert!(error.unwrap().to_string().contains("leave --steps out"));
}

/// The case of a GAN or a diffusion with three classes, which its models are given.
fn with_classes(name: &str) -> TaskCase {
    let mut case = (named(name).unwrap().sample)().unwrap();
    case.task.own.insert("conditional".to_string(), true.into());
    case.fitted.classes = ["a", "b", "c"].map(str::to_string).to_vec();
    let mut models = Vec::new();
    for (role, spec) in &case.models {
        // Wherever the first layer is, the class joins behind it.
        let mut text = toml::to_string(spec)
            .unwrap()
            .parse::<toml::Table>()
            .unwrap();
        let own = text.remove("input");
        let mut inputs = match text.remove("inputs") {
            Some(toml::Value::Table(inputs)) => inputs,
            _ => toml::Table::from_iter([("x".to_string(), own.unwrap())]),
        };
        inputs.insert("class".to_string(), vec![toml::Value::from(3)].into());
        let first = match inputs.contains_key("x") {
            true => "x",
            false => "image",
        };
        let layers = text.get_mut("layer").unwrap().as_array_mut().unwrap();
        if *role == "generator" || name == "diffusion" {
            // A dense layer reads features: they are beside those of the class.
            let place = match name {
                "diffusion" => 1,
                _ => 0,
            };
            match name {
                "diffusion" => {
                    let inputs: toml::Value = vec!["flat", "time", "class"].into();
                    let concat = layers[place].as_table_mut().unwrap();
                    concat.insert("inputs".to_string(), inputs);
                }
                _ => {
                    let concat = "type = \"concat\"\ninputs = [\"x\", \"class\"]";
                    layers.insert(0, concat.parse::<toml::Table>().unwrap().into());
                }
            }
        } else {
            let convolution = layers[0].as_table_mut().unwrap();
            convolution.insert("input".to_string(), first.into());
            convolution.insert("name".to_string(), "seen".into());
            let shift = "name = \"shift\"\ntype = \"dense\"\nunits = 8\ninput = \"class\"";
            let both = "type = \"add\"\ninputs = [\"seen\", \"shift\"]";
            for (place, layer) in [(1, shift), (2, both)] {
                layers.insert(place, layer.parse::<toml::Table>().unwrap().into());
            }
        }
        text.insert("inputs".to_string(), inputs.into());
        models.push((*role, toml::Value::from(text).try_into().unwrap()));
    }
    case.models = models;
    case
}

#[test]
fn images_of_a_class_are_drawn_and_all_classes_in_turn() {
    for name in ["gan", "diffusion"] {
        let case = with_classes(name);
        let of = |class: Option<&str>| {
            let wanted = DrawSettings {
                class: class.map(str::to_string),
                ..seeded(7)
            };
            drawn(&Engine::Cpu, &case, &wanted, 6)
        };
        let (all, a, b) = (of(None), of(Some("a")), of(Some("b")));
        assert_ne!(a, b, "{name}");
        assert_eq!([&all[0], &all[3]], [&a[0], &a[3]], "{name}");
        assert_eq!([&all[1], &all[4]], [&b[1], &b[4]], "{name}");
        let wanted = DrawSettings {
            class: Some("d".to_string()),
            ..seeded(7)
        };
        let error = Drawing::new(&Engine::Cpu, parts(&case), &wanted).err();
        let message = error.unwrap().to_string();
        assert!(message.contains("no class \"d\"; there are a, b, c"));
        let plain = (named(name).unwrap().sample)().unwrap();
        let error = Drawing::new(&Engine::Cpu, parts(&plain), &wanted).err();
        let message = error.unwrap().to_string();
        assert!(message.contains("trained without classes"), "{message}");
    }
}
