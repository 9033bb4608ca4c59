//! `wgrad play`

use super::agent::choice;
use super::{DeviceArgs, OverwriteArg, RunArg, WeightsArg, note, print_line};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::agents::{Play, PlayedStep, Player};
use wgrad::device::Engine;
use wgrad::environments::{Canvas, gif};
use wgrad::files::write_whole;
use wgrad::settings::Settings;

/// Most pictures of a film.
const MOST_FRAMES: usize = 5000;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Environment, see `wgrad environments` [default: that of the run]
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Number of episodes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    episodes: u32,
    /// Seed from which the episodes follow [default: that of the run]
    #[arg(long)]
    seed: Option<u64>,
    /// Draw actions by their probabilities instead of taking the best ones
    #[arg(long)]
    sample: bool,
    /// Write a film of the episodes as a GIF file
    #[arg(long, value_name = "FILE.gif")]
    gif: Option<PathBuf>,
    /// Write what the agent saw and did as a table, on which a classifier learns to imitate it
    #[arg(long, value_name = "FILE.csv")]
    record: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    weights: WeightsArg,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line per episode, and one at the end, and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    for path in args.gif.iter().chain(&args.record) {
        args.overwrite.check(path)?;
    }
    let (folder, mut settings) = Settings::open_run(&args.run.run)?;
    args.device.apply(&mut settings);
    settings.check()?;
    let known = settings.environment_of(args.environment.as_deref())?;
    let (weights, _) = args.weights.path(&folder);
    let parts = args.weights.resolve(&settings, &weights)?;
    args.weights.path_with_note(&folder);
    let (engine, device_note) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        folder.recorded_variants()?,
    )?;
    device_note.iter().for_each(note);
    let play = Play {
        episodes: args.episodes as usize,
        seed: args.seed.unwrap_or(settings.seed),
        choice: choice(args.sample),
    };
    let mut table = known.observation.join(",");
    table.push_str(",action\n");
    let mut frames: Vec<Canvas> = Vec::new();
    let mut printed = Ok(());
    let mut visit = |step: &PlayedStep<'_>| {
        if args.record.is_some() {
            let cells = step.seen.iter().map(ToString::to_string);
            let cells = cells.chain([known.actions[step.action].to_string()]);
            table.push_str(&cells.collect::<Vec<String>>().join(","));
            table.push('\n');
        }
        if args.gif.is_some() && frames.len() < MOST_FRAMES && step.ended.is_none() {
            frames.extend(step.environments.draw(step.place));
        }
        if let Some(episode) = step.ended {
            let number = step.episode + 1;
            let line = match args.json {
                true => print_line(json!({
                    "event": "episode", "episode": number, "return": episode.total, "length": episode.length,
                    "terminated": episode.terminated,
                })),
                false => print_line(format_args!(
                    "episode {number}: return {:.2} in {} steps, {}",
                    episode.total,
                    episode.length,
                    match episode.terminated {
                        true => "ended",
                        false => "at the time limit",
                    }
                )),
            };
            if printed.is_ok() {
                printed = line;
            }
        }
        Ok(())
    };
    let episodes = Player::new(&engine, parts, known, 1)?.play(play, &mut visit)?;
    printed?;
    if let Some(path) = &args.gif {
        if frames.len() == MOST_FRAMES {
            note(format_args!("the film shows the first {MOST_FRAMES} steps"));
        }
        write_whole(path, &gif(&frames, known.frames_per_second)?)?;
    }
    if let Some(path) = &args.record {
        write_whole(path, table.as_bytes())?;
    }
    let mean = episodes.iter().map(|episode| episode.total).sum::<f64>() / episodes.len() as f64;
    match args.json {
        true => print_line(json!({
            "event": "done", "mean_return": mean, "episodes": episodes.len(), "environment": known.name,
            "gif": args.gif, "record": args.record,
        }))?,
        false if episodes.len() > 1 => print_line(format_args!(
            "mean return {mean:.2} of {} episodes",
            episodes.len()
        ))?,
        false => {}
    }
    Ok(ExitCode::SUCCESS)
}
