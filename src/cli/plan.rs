//! `wgrad plan`

use super::planned::{DataArg, Planned, planned};
use super::print_line;
use clap::ValueEnum;
use serde_json::json;
use std::process::ExitCode;
use wgrad::graph::Graph;
use wgrad::passes;
use wgrad::plan::{Plan, Target};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Settings file, model file, or the name of a built-in model
    #[arg(value_name = "run.toml|MODEL", default_value = "mnist-cnn")]
    run: String,
    #[command(flatten)]
    data: DataArg,
    /// Samples per step
    #[arg(long)]
    batch: Option<usize>,
    /// Plan the evaluation step instead of the training step
    #[arg(long)]
    eval: bool,
    /// Kind of adapter to plan for
    #[arg(long = "for", value_enum, default_value = "portable")]
    target: PlanTarget,
    /// Print one JSON line for each graph of the step and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum PlanTarget {
    /// The limits that WebGPU guarantees on any adapter
    Portable,
    /// Mesa's software adapter
    Lavapipe,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let planned = planned(&args.run, &args.data, args.batch)?;
    let target = match args.target {
        PlanTarget::Portable => Target::portable(),
        PlanTarget::Lavapipe => Target::lavapipe(),
    };
    for (step, graph) in planned.graphs(!args.eval, target.max_binding_bytes)? {
        tell(&step, &graph, &target, &planned, args.json)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a graph and its plan.
fn tell(
    step: &str,
    graph: &Graph,
    target: &Target,
    planned: &Planned,
    json: bool,
) -> anyhow::Result<()> {
    let plan = Plan::new(graph, target)?;
    if json {
        print_line(json!({
            "model": planned.settings.model.name,
            "batch": planned.settings.batch,
            "step": step,
            "nodes": graph.nodes.len(),
            "launches": plan.launches().count(),
            "slots": plan.slots.len(),
            "workspace_bytes": plan.workspace_bytes(),
            "variable_bytes": plan.variable_bytes(),
            "flops": plan.launches().map(|l| l.flops).sum::<u64>(),
        }))
    } else {
        print_line(format_args!(
            "Graph of {step}, simplified:\n{}\nPlan for {}:\n{plan}",
            passes::simplify(graph)?,
            target.name
        ))
    }
}
