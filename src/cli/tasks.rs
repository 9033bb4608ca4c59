//! `wgrad tasks`

use super::print_line;
use serde_json::json;
use std::process::ExitCode;
use wgrad::tasks::REGISTRY;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Print one JSON line per task and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    for task in REGISTRY {
        let metrics = (task.metrics)();
        if args.json {
            let metrics: Vec<_> = metrics
                .iter()
                .map(|metric| json!({"name": metric.name, "better": metric.better.name()}))
                .collect();
            print_line(json!({
                "name": task.name,
                "about": task.about,
                "fields": task.needs,
                "metrics": metrics,
            }))?;
            continue;
        }
        print_line(format_args!("{}: {}", task.name, task.about))?;
        for need in task.needs {
            print_line(format_args!(
                "  {:<18} {}{}",
                need.field.replace('|', " or "),
                need.about,
                if need.input {
                    ""
                } else {
                    " (not for predictions)"
                }
            ))?;
        }
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name).collect();
        print_line(format_args!("  metrics: loss, {}", names.join(", ")))?;
    }
    Ok(ExitCode::SUCCESS)
}
