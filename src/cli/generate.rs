//! `wgrad generate`

use super::plain::plain;
use super::{DeviceArgs, OverwriteArg, RunArg, WeightsArg, note, print_line};
use anyhow::Context as _;
use serde_json::json;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use wgrad::Error;
use wgrad::device::Engine;
use wgrad::files::write_whole;
use wgrad::generate::{Drawing, Generator, Sampling};
use wgrad::run::RunParts;
use wgrad::settings::Settings;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Text: the beginning to continue [default: a new line]
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Text: number of tokens to write [default: 500]
    #[arg(long, value_name = "N")]
    tokens: Option<usize>,
    /// Text: sampling temperature; below 1 favours likely tokens, 0 always picks the most likely one [default: 1]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Text: sample from the K most likely tokens only [default: all]
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Text: sample from the fewest most likely tokens that have this probability together [default: all]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Text: divide the logits of tokens that are in the text; above 1 avoids repetition [default: 1]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    repetition_penalty: Option<f64>,
    /// Random seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// GAN: number of images to draw [default: 64]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// GAN: folder for the images [default: generated/seed-S in the run folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    weights: WeightsArg,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line at the end and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let sampling = Sampling {
        temperature: args.temperature.unwrap_or(1.0),
        top_k: args.top_k,
        top_p: args.top_p,
        repetition_penalty: args.repetition_penalty.unwrap_or(1.0),
        seed: args.seed,
    };
    sampling.check()?;
    let (folder, mut settings) = Settings::open_run(&args.run.run)?;
    args.device.apply(&mut settings);
    settings.check()?;
    let weights = args.weights.path_with_note(&folder);
    let parts = settings.resolve_trained(&weights)?;
    let draws = parts.task.draws_samples();
    let named = args.prompt.is_some() || args.tokens.is_some();
    let drawn = args.temperature.is_some() || args.top_k.is_some() || args.top_p.is_some();
    let of_text = named || drawn || args.repetition_penalty.is_some();
    let of_images = args.count.is_some() || args.out.is_some() || args.overwrite.overwrite;
    let misplaced = match draws {
        true if of_text => Some(
            "--prompt, --tokens, --temperature, --top-k, --top-p and --repetition-penalty are for runs that write text, but this one \
             draws images; leave them out",
        ),
        false if of_images => Some(
            "--count, --out and --overwrite are for runs that draw images, but this one writes text; leave them out",
        ),
        _ => None,
    };
    if let Some(what) = misplaced {
        return Err(Error::Config(what.to_string()).into());
    }
    let (engine, device_note) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        folder.recorded_variants()?,
    )?;
    device_note.iter().for_each(note);
    if draws {
        // A folder for each seed, so that images of another seed are not overwritten.
        let own = || folder.path.join(format!("generated/seed-{}", args.seed));
        let count = args.count.unwrap_or(64);
        if let Some(out) = &args.out {
            (0..count).try_for_each(|number| args.overwrite.check(&sample_path(out, number)))?;
        }
        let out = args.out.unwrap_or_else(own);
        return draw(&engine, parts, (count, args.seed), &out, args.json);
    }
    let mut generator = Generator::new(&engine, &parts)?;
    let (prompt, tokens) = (args.prompt.unwrap_or_default(), args.tokens.unwrap_or(500));
    let start = Instant::now();
    let mut text = String::new();
    // A bad prompt is reported before anything is printed.
    generator.tokens_of(&prompt)?;
    if !args.json {
        print_piece(&prompt)?;
    }
    generator.write(&prompt, tokens, &sampling, |piece| match args.json {
        true => {
            text.push_str(piece);
            anyhow::Ok(())
        }
        false => print_piece(piece),
    })?;
    if !args.json {
        print_line("")?;
        return Ok(ExitCode::SUCCESS);
    }
    let seconds = start.elapsed().as_secs_f64();
    print_line(json!({
        "prompt": prompt,
        "text": text,
        "tokens": tokens,
        "seed": args.seed,
        "seconds": seconds,
        "tokens_per_s": tokens as f64 / seconds,
        "adapter": engine.name(),
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// The file of image `number`, from 0.
fn sample_path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("sample-{:04}.png", number + 1))
}

/// Draws images into the folder `out`: `sample-0001.png` and so on.
fn draw(
    engine: &Engine,
    parts: RunParts,
    (count, seed): (usize, u64),
    out: &Path,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
    Drawing::new(engine, parts, seed)?.draw(count, |number, file| {
        write_whole(&sample_path(out, number), &file)
    })?;
    if json {
        print_line(json!({
            "pictures": count,
            "folder": out.display().to_string(),
            "seed": seed,
            "seconds": start.elapsed().as_secs_f64(),
            "adapter": engine.name(),
        }))?;
    } else {
        print_line(format_args!("{count} images in {}", out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_piece(piece: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let piece = match out.is_terminal() {
        true => plain(piece),
        false => piece.into(),
    };
    write!(out, "{piece}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}
