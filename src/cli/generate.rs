//! `wgrad generate`

use super::{DeviceArgs, RunArg, WeightsArg, note, print_line};
use anyhow::Context as _;
use serde_json::json;
use std::io::Write as _;
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
    /// Text to continue [default: a new line]
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prompt: String,
    /// Number of tokens to write
    #[arg(long, value_name = "N", default_value_t = 500)]
    tokens: usize,
    /// Sampling temperature: below 1 favours likely tokens, 0 always picks the most likely one
    #[arg(
        long,
        value_name = "T",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    temperature: f64,
    /// Sample from the K most likely tokens only [default: all]
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Random seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// GAN: number of images to draw [default: 64]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// GAN: folder for the images [default: generated in the run folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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
        temperature: args.temperature,
        top_k: args.top_k,
        seed: args.seed,
    };
    sampling.check()?;
    let (folder, mut settings) = Settings::open_run(&args.run.run)?;
    args.device.apply(&mut settings);
    settings.check()?;
    let weights = args.weights.told(&folder);
    let parts = settings.resolve_trained(&weights)?;
    let draws = parts.task.draws_samples();
    if !draws && (args.count.is_some() || args.out.is_some()) {
        let what = "--count and --out are for runs that draw images, but this one writes text; leave them out";
        return Err(Error::Config(what.to_string()).into());
    }
    let (engine, told) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        folder.recorded_variants()?,
    )?;
    told.iter().for_each(note);
    if draws {
        let out = args.out.unwrap_or_else(|| folder.path.join("generated"));
        return draw(
            &engine,
            parts,
            (args.count.unwrap_or(64), args.seed),
            &out,
            args.json,
        );
    }
    let mut generator = Generator::new(&engine, &parts)?;
    let start = Instant::now();
    let mut text = String::new();
    // A bad prompt is reported before anything is printed.
    generator.tokens_of(&args.prompt)?;
    if !args.json {
        print_piece(&args.prompt)?;
    }
    generator.write(&args.prompt, args.tokens, &sampling, |piece| {
        match args.json {
            true => {
                text.push_str(piece);
                anyhow::Ok(())
            }
            false => print_piece(piece),
        }
    })?;
    if !args.json {
        print_line("")?;
        return Ok(ExitCode::SUCCESS);
    }
    let seconds = start.elapsed().as_secs_f64();
    print_line(json!({
        "prompt": args.prompt,
        "text": text,
        "tokens": args.tokens,
        "seed": args.seed,
        "seconds": seconds,
        "tokens_per_s": args.tokens as f64 / seconds,
        "adapter": engine.name(),
    }))?;
    Ok(ExitCode::SUCCESS)
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
        write_whole(&out.join(format!("sample-{:04}.png", number + 1)), &file)
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
    write!(out, "{piece}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}
