//! Training steps: accumulated gradients, moving averages, groups, best weights, early stopping, and schedules that follow a
//! metric; in the reference and on an adapter, after a resume and with streamed data.

use crate::support;
use std::sync::Arc;
use wgrad::cpu::{Data, Tensor};
use wgrad::data::{Dataset, FieldValues, Samples, field};
use wgrad::device::Engine;
use wgrad::nn::{Model, Network, weights};
use wgrad::optim::{Average, GroupSettings, OptimizerConfig, Patterns, Schedule};
use wgrad::run::{
    Checkpoint, Length, Measured, Monitor, Run, RunFolder, RunParts, RunTexts, Saving, Silent,
};
use wgrad::tasks::{ClassWeights, CrossEntropy, Custom, Loss, Models, Objective, TaskCase, named};
use wgrad::tensor::TensorType;
use wgrad::toml_text::parse;
use wgrad::train::{BatchSource, FedBatch, Predictor, Recipe, Trainer};

/// A dozen images of three classes.
fn case() -> TaskCase {
    (named("classification").unwrap().sample)().unwrap()
}

fn network(case: &TaskCase) -> Network {
    Network::new(case.models[0].1.clone()).unwrap()
}

fn optimizer(text: &str) -> OptimizerConfig {
    parse(text, "optimizer").unwrap()
}

/// A run of three epochs on the case, each with two batches of 5 and one of 2.
fn parts(case: &TaskCase) -> RunParts {
    let task = named("classification").unwrap();
    RunParts {
        task: (task.make)(&case.task).unwrap().into(),
        models: Models::one(network(case)),
        recipe: Recipe {
            seed: 3,
            batch: 5,
            optimizer: optimizer("name = \"adam\"\nlr = 0.01"),
            ..Recipe::default()
        },
        length: Length {
            epochs: 3,
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
        title: "a test".to_string(),
    }
}

fn dataset(train: &Samples, test: &Samples) -> Dataset<Samples> {
    let classes = ["a", "b", "c"].map(str::to_string).to_vec();
    Dataset::new("dozen", train.clone(), test.clone(), classes)
        .unwrap()
        .into_samples()
}

fn run<'e>(engine: &'e Engine, case: &TaskCase, parts: RunParts) -> Run<'e> {
    Run::new(
        engine,
        parts.check(dataset(&case.samples, &case.samples)).unwrap(),
    )
    .unwrap()
}

/// The reference, and the software adapter if there is one.
fn engines() -> Vec<&'static Engine> {
    std::iter::once(&Engine::Cpu)
        .chain(support::engine())
        .collect()
}

/// The variables of a checkpoint after a run of `parts`, which begins at `from`.
fn trained(
    engine: &Engine,
    case: &TaskCase,
    parts: RunParts,
    from: Option<Checkpoint>,
) -> Checkpoint {
    let mut run = run(engine, case, parts);
    from.into_iter()
        .for_each(|checkpoint| run.restore(checkpoint).unwrap());
    run.fit(&mut Silent, None).unwrap();
    run.checkpoint().unwrap()
}

fn bits(tensor: &Tensor<f32>) -> Vec<u32> {
    match &tensor.data {
        Data::Real(values) => values.iter().map(|x| x.to_bits()).collect(),
        Data::Index(values) => values.clone(),
    }
}

fn value<'c>(checkpoint: &'c Checkpoint, name: &str) -> &'c Tensor<f32> {
    let found = checkpoint.variables.iter().find(|(known, _)| known == name);
    &found.unwrap_or_else(|| panic!("no variable {name}")).1
}

#[track_caller]
fn assert_same_bits(a: &Checkpoint, b: &Checkpoint) {
    assert_eq!(a.progress, b.progress);
    assert_eq!(a.variables.len(), b.variables.len());
    for ((name, a), (_, b)) in a.variables.iter().zip(&b.variables) {
        assert_eq!(bits(a), bits(b), "{name}");
    }
}

/// Checks that the weights of two checkpoints are the same within rounding.
#[track_caller]
fn assert_near(models: &Models, a: &Checkpoint, b: &Checkpoint, what: &str) {
    for part in models.state() {
        let pairs = value(a, &part.name)
            .reals()
            .iter()
            .zip(value(b, &part.name).reals());
        let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-4, "{what}: {} is {apart:e} apart", part.name);
    }
}

fn class_weighted(case: &mut TaskCase) {
    let weights = ClassWeights::Numbers(vec![3.0, 1.0, 0.5]);
    case.task.loss = Loss::CrossEntropy(CrossEntropy {
        class_weights: Some(weights),
    });
}

#[test]
fn accumulated_gradients_make_the_steps_of_one_large_batch() {
    let optimizers = [
        ("name = \"sgd\"\nlr = 0.1\nmomentum = 0.9", None),
        ("name = \"adamw\"\nlr = 0.01", Some(0.5)),
        ("name = \"lamb\"\nlr = 0.02", None),
        ("name = \"muon\"\nlr = 0.01", Some(1.0)),
    ];
    for weighted in [false, true] {
        let mut case = case();
        if weighted {
            class_weighted(&mut case);
        }
        // Two batches of 5 make steps of 10 and 2 samples; the second step is one batch that is not full. Three of 3 make 9 and 3.
        for (text, clip_norm) in optimizers {
            for (batch, accumulate) in [(5, 2), (3, 3)] {
                for (engine, stream) in engines().into_iter().zip([true, false]) {
                    let with = |batch, accumulate, stream| {
                        let mut parts = parts(&case);
                        parts.recipe = Recipe {
                            batch,
                            accumulate,
                            clip_norm,
                            optimizer: optimizer(text),
                            ..parts.recipe
                        };
                        parts.data.stream = Some(stream);
                        trained(engine, &case, parts, None)
                    };
                    let (large, small) = (
                        with(batch * accumulate, 1, false),
                        with(batch, accumulate, stream),
                    );
                    assert_eq!(large.progress.step, small.progress.step);
                    let what = format!(
                        "{text}, weighted {weighted}, {accumulate} times {batch}, {}",
                        engine.name()
                    );
                    assert_near(&parts(&case).models, &large, &small, &what);
                }
            }
        }
    }
}

#[test]
fn a_run_with_accumulation_resumes_within_an_epoch_bit_for_bit() {
    let mut case = case();
    class_weighted(&mut case);
    for engine in engines() {
        let of = |steps| {
            let mut parts = parts(&case);
            parts.recipe.batch = 3;
            parts.recipe.accumulate = 2;
            parts.recipe.average = Some(Average::exponential(0.9));
            parts.length.steps = Some(steps);
            parts
        };
        let whole = trained(engine, &case, of(5), None);
        let half = trained(engine, &case, of(3), None);
        let resumed = trained(engine, &case, of(5), Some(half));
        for ((name, a), (_, b)) in whole.variables.iter().zip(&resumed.variables) {
            assert_eq!(bits(a), bits(b), "{name} on {}", engine.name());
        }
    }
}

#[test]
fn averages_follow_the_parameters_and_are_what_is_evaluated_and_written() {
    let case = case();
    let folder = tempfile::tempdir().unwrap();
    for engine in engines() {
        let with = |steps| {
            let mut parts = parts(&case);
            parts.recipe.average = Some(Average::exponential(0.99));
            parts.length.steps = Some(steps);
            parts
        };
        let models = Models::one(network(&case));
        let names: Vec<String> = models.parameters(&[""]).map(|p| p.name.clone()).collect();
        let start = models.initial_state(3);
        // At step 1 an average keeps 2 / 11 of its value, at step 2 3 / 12.
        let (first, second) = (
            trained(engine, &case, with(1), None),
            trained(engine, &case, with(2), None),
        );
        for (name, start) in names.iter().zip(&start) {
            let own = |checkpoint, i: usize| value(checkpoint, name).reals()[i];
            for (i, &start) in start.reals().iter().enumerate() {
                let one = start + 9.0 / 11.0 * (own(&first, i) - start);
                let two = one + 9.0 / 12.0 * (own(&second, i) - one);
                let average = value(&second, &Average::name_of(name)).reals()[i];
                assert!((average - two).abs() < 1e-5, "{name}: {average} and {two}");
            }
        }
        let mut run = run(engine, &case, with(7));
        let result = run.fit(&mut Silent, None).unwrap();
        let path = folder.path().join("averages.safetensors");
        run.save_model(&path).unwrap();
        let written = weights::load(&path, models.spec()).unwrap();
        let checkpoint = run.checkpoint().unwrap();
        for (name, written) in names.iter().zip(&written) {
            assert_eq!(
                bits(written),
                bits(value(&checkpoint, &Average::name_of(name)))
            );
            assert_ne!(bits(written), bits(value(&checkpoint, name)));
        }
        let mut parts = parts(&case);
        parts.values = Some(written);
        let (read, ..) = Measured::evaluation(engine, parts, case.samples.clone())
            .unwrap()
            .run()
            .unwrap();
        assert_eq!(result.to_json(), read.to_json(), "{}", engine.name());
    }
}

/// The same images with the classes of others, so that learning the original classes increases the loss on these.
fn relabelled(samples: &Samples) -> Samples {
    let fields = samples.fields().iter().cloned().map(|mut part| {
        if let (field::LABEL, FieldValues::Labels(labels)) = (part.name, &mut part.values) {
            labels
                .iter_mut()
                .for_each(|label| *label = (*label + 1) % 3);
        }
        part
    });
    Samples::new(samples.len(), fields.collect(), None)
}

#[test]
fn the_best_weights_are_kept_and_a_run_that_no_longer_improves_stops() {
    let case = case();
    let dir = tempfile::tempdir().unwrap();
    let texts = RunTexts {
        settings: "seed = 3\n".to_string(),
        tokenizer: None,
        files: None,
        copies: Vec::new(),
    };
    let folder = RunFolder::create(Some(&dir.path().join("run")), "run", &texts).unwrap();
    let patient = || {
        let mut parts = parts(&case);
        parts.length.epochs = 30;
        parts.monitor = Monitor {
            metric: Some("loss".to_string()),
            patience: Some(3),
            min_delta: 0.0,
        };
        parts
    };
    let data = || dataset(&case.samples, &relabelled(&case.samples));
    let mut run = Run::new(&Engine::Cpu, patient().check(data()).unwrap()).unwrap();
    assert_eq!(run.monitored(), Some("loss"));
    run.fit(&mut Silent, Some(&folder)).unwrap();
    assert!(run.stopped_early());
    let best = run.progress().best.clone().unwrap();
    assert_eq!(run.progress().epoch, best.epoch + 3);
    let evaluated = |path: std::path::PathBuf| {
        let mut parts = patient();
        parts.values = Some(weights::load(&path, parts.models.spec()).unwrap());
        let measured = Measured::evaluation(&Engine::Cpu, parts, relabelled(&case.samples));
        measured.unwrap().run().unwrap().0.loss
    };
    assert_eq!(evaluated(folder.best_path()), best.value);
    assert!(evaluated(folder.model_path()) > best.value);

    // A resumed run stays stopped. With more patience it continues as if it had had that patience from the start.
    let resumed = |patience| {
        let mut parts = patient();
        parts.monitor.patience = Some(patience);
        let mut run = Run::new(&Engine::Cpu, parts.check(data()).unwrap()).unwrap();
        run.restore(folder.latest_checkpoint().unwrap().unwrap())
            .unwrap();
        run.fit(&mut Silent, None).unwrap();
        (run.progress().epoch, run.stopped_early())
    };
    assert_eq!(resumed(3), (best.epoch + 3, true));
    assert_eq!(resumed(5), (best.epoch + 5, true));
}

#[test]
fn a_metric_that_the_task_does_not_report_is_refused() {
    let case = case();
    let mut parts = parts(&case);
    parts.monitor.metric = Some("bleu".to_string());
    let message = parts
        .check(dataset(&case.samples, &case.samples))
        .err()
        .expect("this should have been refused")
        .to_string();
    assert!(
        message.contains("monitor is \"bleu\"") && message.contains("accuracy"),
        "{message}"
    );
}

#[test]
fn a_schedule_that_follows_a_metric_lowers_the_rate_and_resumes() {
    let case = case();
    let data = || dataset(&case.samples, &relabelled(&case.samples));
    let schedule: Schedule = parse(
        "name = \"plateau\"\nmetric = \"loss\"\nfactor = 0.5\npatience = 1",
        "schedule",
    )
    .unwrap();
    for engine in engines() {
        let through = |epochs, from: Option<Checkpoint>| {
            let mut parts = parts(&case);
            parts.recipe.schedule = schedule.clone();
            parts.length.epochs = epochs;
            let mut run = Run::new(engine, parts.check(data()).unwrap()).unwrap();
            from.into_iter()
                .for_each(|checkpoint| run.restore(checkpoint).unwrap());
            run.fit(&mut Silent, None).unwrap();
            (run.checkpoint().unwrap(), run.trainer().lr())
        };
        let (whole, lr) = through(9, None);
        assert!(lr < 0.01 / 1.9, "the rate is still {lr}");
        let (resumed, resumed_lr) = through(9, Some(through(6, None).0));
        assert_eq!(lr, resumed_lr);
        assert_same_bits(&whole, &resumed);
    }
}

#[test]
fn groups_freeze_slow_down_and_thaw_parameters() {
    let case = case();
    let models = Models::one(network(&case));
    let start: Vec<(String, Tensor<f32>)> = models
        .state()
        .map(|part| part.name.clone())
        .zip(models.initial_state(3))
        .collect();
    let group = |text: &str| -> Vec<GroupSettings> { vec![parse(text, "a group").unwrap()] };
    for engine in engines() {
        let after = |groups: &[GroupSettings], epochs| {
            let mut parts = parts(&case);
            parts.recipe.groups = groups.to_vec();
            parts.length.epochs = epochs;
            trained(engine, &case, parts, None)
        };
        let moved = |checkpoint: &Checkpoint, stem: &str| {
            let mut own = start.iter().filter(|(name, _)| name.starts_with(stem));
            own.any(|(name, start)| bits(start) != bits(value(checkpoint, name)))
        };
        let frozen = after(&group("match = \"conv*\"\nfreeze = true"), 1);
        assert!(!moved(&frozen, "conv") && moved(&frozen, "dense"));
        assert!(
            !frozen
                .variables
                .iter()
                .any(|(name, _)| name.starts_with("optimizer.") && name.contains("conv"))
        );
        let still = after(&group("match = \"conv*\"\nlr = 0.0"), 1);
        assert!(!moved(&still, "conv") && moved(&still, "dense"));
        let thawing = group("match = \"conv*\"\nunfreeze_epoch = 2");
        assert!(!moved(&after(&thawing, 1), "conv"));
        let thawed = after(&thawing, 2);
        assert!(moved(&thawed, "conv"));
        let mut parts = parts(&case);
        parts.recipe.groups = thawing.clone();
        parts.length.epochs = 2;
        let resumed = trained(engine, &case, parts, Some(after(&thawing, 1)));
        assert_same_bits(&thawed, &resumed);
    }
}

#[test]
fn patterns_of_groups_and_of_freeze_are_named_where_they_match_nothing() {
    let case = case();
    let refused = |freeze: &str, group: &str| {
        let mut parts = parts(&case);
        parts.recipe.freeze = Patterns(vec![freeze.to_string()]);
        parts.recipe.groups = vec![parse(group, "a group").unwrap()];
        let data = dataset(&case.samples, &case.samples);
        let run = parts.check(data);
        run.err()
            .expect("this should have been refused")
            .to_string()
    };
    let nothing = refused("nothing.*", "match = \"dense*\"\nlr = 0.1");
    assert!(
        nothing.starts_with("freeze: the pattern \"nothing.*\""),
        "{nothing}"
    );
    let nothing = refused("conv*", "match = \"nothing.*\"\nlr = 0.1");
    assert!(nothing.starts_with("[[group]] 1: the pattern"), "{nothing}");
    let shadowed = refused("conv*", "match = \"conv*\"\nlr = 0.1");
    assert!(
        shadowed.starts_with("[[group]] 1 has no parameters"),
        "{shadowed}"
    );
}

#[test]
fn a_frozen_batch_norm_keeps_its_statistics() {
    let mut case = case();
    case.models[0].1 = parse(
        "name = \"norm\"\ninput = [6, 6, 1]\nlayer = [\n{ type = \"flatten\" },\n\
         { name = \"bn\", type = \"batch_norm\" },\n{ type = \"dense\", units = 3 },\n]",
        "a model",
    )
    .unwrap();
    let mut parts = parts(&case);
    parts.recipe.groups = vec![parse("match = \"bn.*\"\nfreeze = true", "a group").unwrap()];
    let models = parts.models.clone();
    let after = trained(&Engine::Cpu, &case, parts, None);
    let start = models.initial_state(3);
    for (part, start) in models
        .state()
        .zip(&start)
        .filter(|(part, _)| part.name.starts_with("bn."))
    {
        assert_eq!(
            bits(start),
            bits(value(&after, &part.name)),
            "{}",
            part.name
        );
    }
}

/// A trainer that is fed batches of 4 rows `x` of 2 numbers, each with 1 number `y`.
fn fed<'e>(engine: &'e Engine, batch: usize, accumulate: usize) -> Trainer<'e> {
    let network = parse(
        "name = \"line\"\ninput = [2]\nlayer = [{ type = \"dense\", units = 1 }]",
        "a model",
    );
    let models = Models::one(Network::new(network.unwrap()).unwrap());
    let task = Custom::new(|step| {
        let x = step.batch.field("x")?;
        let error = step.run_first(&[x])?.sub(step.batch.field("y")?)?;
        Objective::mean_of(error.mul(error)?.mask_rows(step.batch.valid())?)
    });
    let field = |name: &str, width| (name.to_string(), TensorType::f32([batch, width]));
    let source = BatchSource::Fed {
        size: batch,
        fields: vec![field("x", 2), field("y", 1)],
    };
    let recipe = Recipe {
        accumulate,
        optimizer: optimizer("name = \"sgd\"\nlr = 0.1"),
        ..Recipe::default()
    };
    let values = models.initial_state(1);
    Trainer::new(
        engine.device(),
        Arc::new(task),
        models,
        recipe,
        source,
        values,
    )
    .unwrap()
}

/// Rows `from` to `to` of a set of 8, with zeros up to `batch` rows.
fn fed_rows(from: usize, to: usize, batch: usize) -> [Tensor<f32>; 2] {
    let filled = |width: usize, scale: f32| {
        let mut values: Vec<f32> = (from * width..to * width)
            .map(|i| (i as f32 * scale).sin())
            .collect();
        values.resize(batch * width, 0.0);
        Tensor::real([batch, width], values)
    };
    [filled(2, 1.7), filled(1, 0.9)]
}

#[test]
fn fed_batches_whose_gradients_are_accumulated_make_the_step_of_a_large_one() {
    for engine in engines() {
        let (mut large, mut small) = (fed(engine, 8, 1), fed(engine, 4, 2));
        for valid in [8, 7] {
            let [x, y] = fed_rows(0, 8, 8);
            large.step(&[("x", &x), ("y", &y)], valid).unwrap();
            let ([x1, y1], [x2, y2]) = (fed_rows(0, 4, 4), fed_rows(4, 8, 4));
            let first = FedBatch {
                fields: &[("x", &x1), ("y", &y1)],
                valid: 4,
            };
            let second = FedBatch {
                fields: &[("x", &x2), ("y", &y2)],
                valid: valid - 4,
            };
            small.step_over(&[first, second]).unwrap();
        }
        assert_eq!((large.steps_done(), small.steps_done()), (2, 2));
        for (a, b) in large.values().unwrap().iter().zip(&small.values().unwrap()) {
            let pairs = a.reals().iter().zip(b.reals());
            assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-6);
        }
        let counted = |trainer: &Trainer<'_>| trainer.counters(15).unwrap().loss().unwrap();
        assert!((counted(&large) - counted(&small)).abs() < 1e-5);
    }
}

#[test]
fn what_is_fed_is_checked() {
    let mut trainer = fed(&Engine::Cpu, 4, 1);
    let [x, y] = fed_rows(0, 4, 4);
    let mut message = |fields: &[(&str, &Tensor<f32>)], valid| {
        trainer.step(fields, valid).unwrap_err().to_string()
    };
    assert!(message(&[("x", &x)], 4).contains("needs the field y"));
    assert!(message(&[("x", &x), ("y", &x)], 4).contains("the field y is a f32[4,1]"));
    assert!(message(&[("x", &x), ("y", &y), ("z", &y)], 4).contains("fed the field z"));
    assert!(message(&[("x", &x), ("y", &y)], 5).contains("5 valid samples"));
    let batch = FedBatch {
        fields: &[("x", &x), ("y", &y)],
        valid: 4,
    };
    let message = trainer.step_over(&[batch, batch]).unwrap_err().to_string();
    assert!(
        message.contains("2 batches") && message.contains("accumulate"),
        "{message}"
    );
}

#[test]
fn a_predictor_gives_what_the_model_of_a_run_gives() {
    let case = case();
    let network = network(&case);
    let pictures = case.samples.pictures().unwrap();
    let pixels = pictures.bytes.iter();
    let pixels = pixels.map(|&byte| (f32::from(byte) / 255.0 - 0.5) / 0.25);
    let x = Tensor::real([12, 6, 6, 1], pixels.collect());
    for engine in engines() {
        let mut parts = parts(&case);
        let values = parts.models.initial_state(8);
        parts.values = Some(values.clone());
        let measured = Measured::prediction(engine, parts, case.inputs().unwrap());
        let (_, _, expected) = measured.unwrap().run().unwrap();
        let mut predictor = Predictor::new(engine.device(), &network, &values, 12).unwrap();
        assert_eq!(predictor.inputs()[0].0, "input");
        let given = predictor.run(&[("input", &x)]).unwrap();
        let apart = given[0].1.reals().iter().zip(&expected[0].2);
        assert!(apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-5);
        predictor.set_values(&network.initial_state(9)).unwrap();
        assert_ne!(predictor.run(&[("input", &x)]).unwrap(), given);
        let message = predictor.run(&[]).unwrap_err().to_string();
        assert!(
            message.contains("takes the input input, a f32[12,6,6,1]"),
            "{message}"
        );
        let few = Predictor::new(engine.device(), &network, &values[1..], 12);
        let message = few.err().unwrap().to_string();
        assert!(message.contains("weights and buffers"), "{message}");
    }
}

#[test]
fn layers_may_be_called_as_what_the_trainer_keeps_beside_them() {
    let of = |first: &str, second: &str| {
        let mut case = case();
        let spec = format!(
            "name = \"m\"\ninput = [6, 6, 1]\nlayer = [{{ type = \"flatten\" }}, \
             {{ name = \"{first}\", type = \"dense\", units = 8, activation = \"relu\" }}, \
             {{ name = \"{second}\", type = \"dense\", units = 3 }}]"
        );
        case.models[0].1 = parse(&spec, "model").unwrap();
        case
    };
    for accumulate in [1, 2] {
        let trained = |case: &TaskCase| {
            let mut parts = parts(case);
            parts.recipe.batch = 4;
            parts.recipe.accumulate = accumulate;
            trained(&Engine::Cpu, case, parts, None)
        };
        let usual = trained(&of("hidden", "classes"));
        let odd = trained(&of("gradient", "metrics"));
        for (usual_name, odd_name) in [("hidden", "gradient"), ("classes", "metrics")] {
            let [a, b] = [(&usual, usual_name), (&odd, odd_name)]
                .map(|(of, name)| bits(value(of, &format!("{name}.weight"))));
            assert!(a.iter().any(|&bits| bits != 0));
            assert_eq!(a, b, "{odd_name}, {accumulate} batches a step");
        }
    }
}
