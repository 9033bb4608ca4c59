//! Tasks with several models and phases: each phase trains its own models with its own optimizer, as often as it specifies.

use crate::support;
use std::sync::Arc;
use wgrad::cpu::Tensor;
use wgrad::data::{Field, FieldValues, Samples, Starts, WindowRows, field};
use wgrad::device::Engine;
use wgrad::nn::{Model, Network};
use wgrad::optim::GroupSettings;
use wgrad::run::{Length, Monitor, Run, RunParts, Saving, Silent};
use wgrad::tasks::{
    Decoded, Fit, Metric, Models, Objective, Phase, Prediction, Registered, StepGraph, Task,
};
use wgrad::tensor::TensorType;
use wgrad::toml_text::parse;
use wgrad::train::{BatchSource, FedBatch, Recipe, Trainer};

/// Two models, `a` of rows and `b` of labels alone; the second is trained in every other step.
#[derive(Debug)]
struct Two;

static TWO: Registered = Registered {
    name: "two",
    about: "a test",
    needs: &[],
    metrics: Vec::new,
    suits: |_| false,
    suits_model: |_| false,
    settings: |_| schemars::Schema::default(),
    make: |_| Ok(Box::new(Two)),
    sample: || unreachable!("it is not in the registry"),
};

impl Task for Two {
    fn registered(&self) -> &'static Registered {
        &TWO
    }

    fn roles(&self) -> &'static [&'static str] {
        &["a", "b"]
    }

    fn check(&self, fit: &Fit<'_>) -> wgrad::Result<()> {
        fit.not_empty()
    }

    fn phases(&self) -> Vec<Phase> {
        let phase = |name, roles, every| Phase { name, roles, every };
        vec![phase("first", &["a"], 1), phase("second", &["b"], 2)]
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, phase: usize) -> wgrad::Result<Objective<'g>> {
        let (role, name) = [("a", field::ROW), ("b", field::VALUE)][phase];
        let x = step.batch.field(name)?;
        let width = x.shape().elements() / step.batch.size();
        let x = x.reshape([step.batch.size(), width])?;
        let x = step.dropout(x, 0.25)?;
        let y = step.run(role, &[x])?[0];
        Objective::mean_of(y.mul(y)?.mask_rows(step.batch.valid())?)
    }

    fn predict(&self, _: &mut StepGraph<'_, '_>) -> wgrad::Result<()> {
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> wgrad::Result<Objective<'g>> {
        self.loss(step, 0)
    }

    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    fn decode(&self, _: &Decoded<'_>) -> wgrad::Result<Prediction> {
        Ok(Prediction::default())
    }
}

fn models() -> Models {
    let model = |role: &str, width: usize| -> (String, Arc<dyn Model>) {
        let text = format!(
            "name = \"{role}\"\ninput = [{width}]\nlayer = [{{ type = \"dense\", units = 1 }}]"
        );
        let network = Network::new(parse(&text, "a model").unwrap()).unwrap();
        (role.to_string(), Arc::new(network.with_prefix(role)))
    };
    Models::named(vec![model("a", 2), model("b", 1)])
}

fn recipe(accumulate: usize) -> Recipe {
    Recipe {
        batch: 4,
        accumulate,
        optimizer: parse("name = \"sgd\"\nlr = 0.1", "optimizer").unwrap(),
        optimizers: [(
            "second".to_string(),
            parse("name = \"adam\"\nlr = 0.1", "optimizer").unwrap(),
        )]
        .into(),
        ..Recipe::default()
    }
}

fn samples() -> Samples {
    let rows = |columns: usize| {
        let values = (0..11 * columns).map(|i| (1.3 * i as f32).sin()).collect();
        Arc::new(WindowRows::Floats { values, columns })
    };
    let windows = |name, columns| Field {
        name,
        values: FieldValues::Windows {
            rows: rows(columns),
            offset: 0,
            length: 1,
        },
    };
    let starts = Starts {
        first: (0..11).collect(),
        anywhere: false,
        span: 1,
        rows: 11,
    };
    Samples::new(
        11,
        vec![windows(field::ROW, 2), windows(field::VALUE, 1)],
        Some(starts),
    )
}

fn run(
    engine: &Engine,
    accumulate: usize,
    stream: bool,
    groups: Vec<GroupSettings>,
) -> wgrad::Result<Run<'_>> {
    let dataset =
        wgrad::data::Dataset::new("two", samples(), samples(), Vec::new())?.into_samples();
    let parts = RunParts {
        task: Arc::new(Two),
        models: models(),
        recipe: Recipe {
            groups,
            ..recipe(accumulate)
        },
        length: Length {
            epochs: 2,
            steps: None,
            steps_per_epoch: None,
            shuffle: true,
        },
        monitor: Monitor::default(),
        saving: Saving::default(),
        tensorboard: false,
        privacy: None,
        federated: None,
        data: wgrad::data::DataSettings {
            stream: Some(stream),
            ..Default::default()
        },
        fitted: Default::default(),
        values: None,
        title: "two".to_string(),
    };
    Run::new(engine, parts.check(dataset)?)
}

fn engines() -> Vec<&'static Engine> {
    std::iter::once(&Engine::Cpu)
        .chain(support::engine())
        .collect()
}

fn weights(run: &mut Run<'_>) -> Vec<Tensor<f32>> {
    run.fit(&mut Silent, None).unwrap();
    run.trainer().values().unwrap()
}

#[test]
fn batches_that_are_streamed_are_those_on_the_device_in_every_phase() {
    for engine in engines() {
        let trained = |stream| weights(&mut run(engine, 1, stream, Vec::new()).unwrap());
        assert_eq!(trained(false), trained(true), "{}", engine.name());
    }
}

/// An epoch has three steps. In the second epoch, the phase runs only in the fifth step, with four samples.
#[test]
fn the_loss_of_a_phase_is_the_mean_over_the_samples_of_its_own_steps() {
    for engine in engines() {
        let mut run = run(engine, 1, false, Vec::new()).unwrap();
        run.fit(&mut Silent, None).unwrap();
        let counters = run.trainer().counters(11).unwrap();
        assert_eq!(counters.sum("weight.second"), Some(4.0));
        assert_eq!(counters.sum("weight"), None);
    }
}

#[test]
fn an_evaluation_drops_the_same_elements_in_every_pass() {
    for engine in engines() {
        let mut run = run(engine, 1, false, Vec::new()).unwrap();
        let mut loss = || run.evaluate().unwrap().loss;
        assert_eq!(loss().to_bits(), loss().to_bits());
    }
}

#[test]
fn a_phase_takes_accumulated_batches_of_data_on_the_device_alone() {
    weights(&mut run(&Engine::Cpu, 2, false, Vec::new()).unwrap());
    let message = run(&Engine::Cpu, 2, true, Vec::new())
        .err()
        .unwrap()
        .to_string();
    assert!(
        message.contains("several phases") && message.contains("leave out accumulate"),
        "{message}"
    );
}

#[test]
fn a_group_may_be_of_the_models_of_one_phase() {
    let group = |text: &str| vec![parse::<GroupSettings>(text, "a group").unwrap()];
    let start = models().initial_state(1);
    let slow = group("match = \"b.*\"\nlr = 0.0");
    let after = weights(&mut run(&Engine::Cpu, 1, false, slow).unwrap());
    for ((part, start), after) in models().state().zip(&start).zip(&after) {
        assert_eq!(start != after, part.name.starts_with("a."), "{}", part.name);
    }
    let unknown = group("match = [\"a.*\", \"c.*\"]\nlr = 0.0");
    let message = run(&Engine::Cpu, 1, false, unknown)
        .err()
        .unwrap()
        .to_string();
    assert!(
        message.contains("the pattern \"c.*\" matches no parameter"),
        "{message}"
    );
}

#[test]
fn a_fed_step_runs_each_phase_as_often_as_it_says_with_the_fields_that_it_reads() {
    for engine in engines() {
        let fields = [(field::ROW, 2), (field::VALUE, 1)]
            .map(|(name, width)| (name.to_string(), TensorType::f32([4, width])));
        let source = BatchSource::Fed {
            size: 4,
            fields: fields.to_vec(),
        };
        let values = models().initial_state(1);
        let mut trainer = Trainer::new(
            engine.device(),
            Arc::new(Two),
            models(),
            recipe(1),
            source,
            values,
        )
        .unwrap();
        let row = Tensor::real([4, 2], vec![0.5, -1.0, 1.5, 0.25, 0.1, 0.2, 0.3, 0.4]);
        let value = Tensor::real([4, 1], vec![1.0, -0.5, 0.25, 2.0]);
        let mut before = trainer.values().unwrap();
        for step in 0..4 {
            let batch = FedBatch {
                fields: &[(field::ROW, &row), (field::VALUE, &value)],
                valid: 4,
            };
            trainer.step_over(&[batch]).unwrap();
            let after = trainer.values().unwrap();
            for ((part, before), after) in models().state().zip(&before).zip(&after) {
                let moves = part.name.starts_with("a.") || step % 2 == 0;
                assert_eq!(before != after, moves, "step {step}: {}", part.name);
            }
            before = after;
        }
    }
}
