//! `wgrad environments`

use super::print_line;
use serde_json::json;
use std::process::ExitCode;
use wgrad::environments::ENVIRONMENTS;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Print one JSON line per environment and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    for known in ENVIRONMENTS {
        if args.json {
            print_line(json!({
                "name": known.name,
                "gymnasium": known.gymnasium,
                "about": known.about,
                "observation": known.observation,
                "actions": known.actions,
                "most_steps": known.most_steps,
            }))?;
            continue;
        }
        let gymnasium = known.gymnasium.map(|name| format!(" ({name})"));
        print_line(format_args!(
            "{}{}: {}",
            known.name,
            gymnasium.unwrap_or_default(),
            known.about
        ))?;
        print_line(format_args!("  sees     {}", known.observation.join(", ")))?;
        print_line(format_args!("  actions  {}", known.actions.join(", ")))?;
        print_line(format_args!("  at most  {} steps", known.most_steps))?;
    }
    Ok(ExitCode::SUCCESS)
}
