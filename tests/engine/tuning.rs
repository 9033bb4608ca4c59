//! The tuner chooses variants that are correct and fast, and plans use its choice.

use crate::support;
use wgrad::cpu::{Real, Tensor};
use wgrad::graph::Builder;
use wgrad::ops::softmax::Softmax;
use wgrad::ops::{Op, Vjp};
use wgrad::plan::{Choices, Launch, Lowering, Plan, Target};
use wgrad::tensor::TensorType;
use wgrad::tune::{Operation, operations, tune};
use wgrad::{Result, graph::Var};

/// A softmax of rows with some slow and some wrong kernels.
#[derive(Debug)]
struct Questionable {
    variants: &'static [&'static str],
}

const ROWS: usize = 512;
const LENGTH: usize = 64;

impl Op for Questionable {
    fn name(&self) -> &'static str {
        "questionable"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Ok(inputs[0].clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("a test")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        Softmax.reference(inputs, output)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (shader, times, workgroups) = match cx.variant() {
            "slow" => ("softmax/softmax", 16, ROWS / 64),
            "right" => ("softmax/softmax", 1, ROWS / 64),
            "wrong" => ("log_softmax/log_softmax", 1, ROWS / 64),
            "incomplete" => ("softmax/softmax", 1, 1),
            "missing" => ("no/such", 1, 1),
            other => panic!("{other} was planned"),
        };
        let (x, out) = (cx.input(0), cx.output()?);
        for _ in 0..times {
            let launch = Launch::new(shader)
                .read("x", x.value, 3 * x.vec4s())
                .write("out", out.value)
                .param("rows", ROWS)
                .param("length", LENGTH / 4)
                .workgroups(workgroups as u64);
            cx.launch(launch)?;
        }
        Ok(())
    }

    fn variants(&self, _: &Target, _: &[&TensorType]) -> Vec<&'static str> {
        self.variants.to_vec()
    }
}

fn operation(variants: &'static [&'static str]) -> Operation {
    Operation {
        op: std::sync::Arc::new(Questionable { variants }),
        inputs: vec![TensorType::f32([ROWS, LENGTH])],
        uses: 1,
    }
}

#[test]
fn a_variant_that_is_wrong_is_neither_timed_nor_chosen() {
    let Some(gpu) = support::gpu() else { return };
    let all = operation(&["slow", "wrong", "incomplete", "missing", "right"]);
    let verdict = tune(gpu, &all, 1).unwrap();
    assert_eq!(verdict.chosen, Some("right"), "{verdict:?}");
    for trial in &verdict.trials {
        let right = ["slow", "right"].contains(&trial.variant);
        assert_eq!(trial.ms.is_some(), right, "{trial:?}");
        assert_eq!(trial.rejected.is_none(), right, "{trial:?}");
    }
    assert!(verdict.departs() && verdict.saved_ms() > 0.0);
    // A wrong default is replaced, even by a slow variant.
    let verdict = tune(gpu, &operation(&["wrong", "slow"]), 1).unwrap();
    assert_eq!(verdict.chosen, Some("slow"));
    let verdict = tune(gpu, &operation(&["incomplete", "wrong"]), 1).unwrap();
    assert_eq!(verdict.chosen, None);
    // A correct default that is as fast as any variant is kept.
    let verdict = tune(gpu, &operation(&["right", "slow"]), 1).unwrap();
    assert_eq!(verdict.chosen, Some("right"));
}

#[test]
fn plans_take_what_was_chosen_and_nothing_unknown() {
    let builder = Builder::new();
    let x = builder.variable("x", TensorType::f32([8, 64])).unwrap();
    builder.output("y", x.softmax().unwrap());
    builder.output("z", x.log_softmax().unwrap());
    let graph = builder.finish().unwrap();
    let mut target = Target::portable();
    let found = operations(std::slice::from_ref(&graph), &target).unwrap();
    let kinds: Vec<_> = found.iter().map(Operation::kind).collect();
    assert_eq!(kinds, ["Softmax", "LogSoftmax"]);
    let plan = |target: &Target| {
        let plan = Plan::new(&graph, target).unwrap();
        let steps: Vec<_> = plan.steps.iter().map(|step| format!("{step:?}")).collect();
        steps
    };
    let default = plan(&target);
    let other = found[0].variants(&target)[1];
    target.choices.set(found[0].key(), other);
    let chosen = plan(&target);
    assert_ne!(chosen[0], default[0]);
    assert_eq!(chosen[1], default[1]);
    target.choices = Choices::default();
    target.choices.set(found[0].key(), "no such variant");
    target.choices.set("no such operation".to_string(), other);
    assert_eq!(plan(&target), default);
}

#[test]
fn equal_operations_are_tried_once() {
    let builder = Builder::new();
    let x = builder.variable("x", TensorType::f32([8, 64])).unwrap();
    let y = x.softmax().unwrap().softmax().unwrap();
    builder.output("y", y);
    let graph = builder.finish().unwrap();
    let target = Target::portable();
    let found = operations(&[graph.clone(), graph], &target).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].uses, 4);
}
