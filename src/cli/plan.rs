//! `wgrad plan`

use super::{print_line, settings_of};
use clap::ValueEnum;
use serde_json::json;
use std::process::ExitCode;
use wgrad::nn::Network;
use wgrad::passes;
use wgrad::plan::{Plan, Target};
use wgrad::train::{DataShape, evaluation_graph, training_graph};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Settings file, model file, or the name of a built-in model
    #[arg(value_name = "run.toml|MODEL", default_value = "mnist-cnn")]
    run: String,
    /// Samples in a step
    #[arg(long)]
    batch: Option<usize>,
    /// The evaluation step in place of the training step
    #[arg(long)]
    eval: bool,
    /// What kind of adapter to plan for
    #[arg(long = "for", value_enum, default_value = "portable")]
    target: PlanTarget,
    /// Print one JSON line and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum PlanTarget {
    /// The limits that WebGPU guarantees everywhere
    Portable,
    /// Mesa's software adapter
    Lavapipe,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut settings = settings_of(&args.run)?;
    settings.batch = args.batch.unwrap_or(settings.batch);
    settings.check()?;
    let network = Network::new(settings.model.clone())?;
    let channels = network.spec.input.last().copied().unwrap_or(1);
    settings.data.mean.get_or_insert(vec![0.0; channels]);
    settings.data.std.get_or_insert(vec![1.0; channels]);
    let set = if args.eval { "test" } else { "train" };
    let target = match args.target {
        PlanTarget::Portable => Target::portable(),
        PlanTarget::Lavapipe => Target::lavapipe(),
    };
    // A set that does not fit is streamed, with room for one batch.
    let sample_bytes: usize = network.spec.input.iter().product();
    let all = settings.data.train.max(settings.batch);
    let fits = (all as u64).saturating_mul(sample_bytes as u64) <= target.max_binding_bytes;
    let samples = if fits { all } else { settings.batch };
    let shape = DataShape {
        set,
        samples,
        batch: settings.batch,
        sample: network.spec.input.clone(),
    };
    let graph = if args.eval {
        evaluation_graph(&network, &settings, &shape)?
    } else {
        training_graph(&network, &settings, &shape)?
    };
    let plan = Plan::new(&graph, &target)?;
    if args.json {
        print_line(json!({
            "model": settings.model.name,
            "batch": settings.batch,
            "nodes": graph.nodes.len(),
            "launches": plan.launches().count(),
            "slots": plan.slots.len(),
            "workspace_bytes": plan.workspace_bytes(),
            "variable_bytes": plan.variable_bytes(),
            "flops": plan.launches().map(|l| l.flops).sum::<u64>(),
        }))?;
    } else {
        print_line(format_args!(
            "Graph, simplified:\n{}\nPlan for {}:\n{plan}",
            passes::simplify(&graph)?,
            target.name
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
