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
use wgrad::data::Part;
use wgrad::device::Engine;
use wgrad::files::write_whole;
use wgrad::generate::{DrawSettings, Drawing, FeatureMoments, Generator, ImageFeatures, Sampling};
use wgrad::run::RunParts;
use wgrad::settings::Settings;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Text: the beginning to continue; several are continued together [default: a new line]
    #[arg(long, value_name = "TEXT")]
    prompt: Vec<String>,
    /// Text: a file with a beginning in each line, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompts: Option<PathBuf>,
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
    /// Images: how many to draw [default: 64]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Images: folder for them, or a file NAME.png for a grid of them [default: generated/seed-S in the run folder]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Images: name of the class to draw, of a run that knows classes [default: all in turn]
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Images: number of steps in which a diffusion model draws [default: 50]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Images: run of a classifier, by whose features the drawn images are compared with the test part of the data of RUN
    #[arg(long, value_name = "CLASSIFIER")]
    frechet: Option<PathBuf>,
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
    args.device.clone().apply(&mut settings);
    settings.check()?;
    let weights = args.weights.path_with_note(&folder);
    let parts = args.weights.resolve(&settings, &weights)?;
    let draws = parts.task.draws_samples();
    let named = !args.prompt.is_empty() || args.prompts.is_some() || args.tokens.is_some();
    let drawn = args.temperature.is_some() || args.top_k.is_some() || args.top_p.is_some();
    let of_text = named || drawn || args.repetition_penalty.is_some();
    let of_images = args.count.is_some()
        || args.out.is_some()
        || args.overwrite.overwrite
        || args.class.is_some()
        || args.steps.is_some()
        || args.frechet.is_some();
    let misplaced = match draws {
        true if of_text => Some(
            "--prompt, --prompts, --tokens, --temperature, --top-k, --top-p and --repetition-penalty are for runs that write text, but this one \
             draws images; leave them out",
        ),
        false if of_images => Some(
            "--count, --out, --class, --steps, --frechet and --overwrite are for runs that draw images, but this one writes text; leave them out",
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
        let drawn = Drawn {
            count: args.count.unwrap_or(64),
            settings: DrawSettings {
                seed: args.seed,
                class: args.class.clone(),
                steps: args.steps,
            },
            json: args.json,
        };
        let compared = match &args.frechet {
            Some(classifier) => Some(Compared::new(&engine, classifier, &mut settings)?),
            None => None,
        };
        return drawn.write(&engine, parts, compared, &folder.path, &args);
    }
    let prompts = match &args.prompts {
        Some(file) => lines_of(file)?,
        None if args.prompt.is_empty() => vec![String::new()],
        None => args.prompt,
    };
    let tokens = args.tokens.unwrap_or(500);
    let mut generator = Generator::new(&engine, &parts, prompts.len().min(MOST_TOGETHER))?;
    let start = Instant::now();
    let mut texts = vec![String::new(); prompts.len()];
    // A bad prompt is reported before anything is printed.
    for prompt in &prompts {
        generator.tokens_of(prompt)?;
    }
    // A single text is printed while it is written.
    let piecewise = !args.json && prompts.len() == 1;
    if piecewise {
        print_piece(&prompts[0])?;
    }
    generator.write(&prompts, tokens, &sampling, |number, piece| {
        if piecewise {
            return print_piece(piece);
        }
        texts[number].push_str(piece);
        anyhow::Ok(())
    })?;
    if piecewise {
        print_line("")?;
        return Ok(ExitCode::SUCCESS);
    }
    let seconds = start.elapsed().as_secs_f64();
    for (number, (prompt, text)) in prompts.iter().zip(&texts).enumerate() {
        if args.json {
            print_line(json!({
                "prompt": prompt,
                "text": text,
                "tokens": tokens,
                "seed": args.seed,
                "seconds": seconds,
                "tokens_per_s": (tokens * prompts.len()) as f64 / seconds,
                "adapter": engine.name(),
            }))?;
            continue;
        }
        print_line(format_args!("--- {} of {}", number + 1, prompts.len()))?;
        print_piece(prompt)?;
        print_piece(text)?;
        print_line("")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Most prompts that are continued at once.
const MOST_TOGETHER: usize = 16;

/// The lines of `file`, or of standard input if it is `-`, without empty ones.
fn lines_of(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = match file.as_os_str() == "-" {
        true => {
            std::io::read_to_string(std::io::stdin()).map_err(Error::io("read", "standard input"))
        }
        false if !file.exists() => Err(Error::missing(file, "a file of prompts")),
        false => std::fs::read_to_string(file).map_err(Error::io("read", file)),
    }?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines: Vec<String> = lines.map(str::to_string).collect();
    if lines.is_empty() {
        let message = format!("{} has no line with a prompt", file.display());
        return Err(Error::Config(message).into());
    }
    Ok(lines)
}

/// The file of image `number`, from 0.
fn sample_path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("sample-{:04}.png", number + 1))
}

/// What drawn images are compared with.
struct Compared<'e> {
    features: ImageFeatures<'e>,
    /// Those of real images, and their number.
    real: FeatureMoments,
    count: usize,
}

impl<'e> Compared<'e> {
    /// The features of the run `classifier`, of the test part of the data of `settings`.
    fn new(engine: &'e Engine, classifier: &Path, settings: &mut Settings) -> anyhow::Result<Self> {
        let (folder, trained) = Settings::open_run(classifier)?;
        let best = WeightsArg {
            last: false,
            lora: None,
        };
        let weights = best.path(&folder).0;
        let parts = trained.resolve_trained(&weights)?;
        let mut features = ImageFeatures::new(engine, &parts, &trained.model)?;
        settings.data.evaluate = Part::Test;
        let samples = settings.load_data()?.test;
        let real = features.moments(&samples)?;
        Ok(Compared {
            features,
            real,
            count: samples.len(),
        })
    }
}

/// Images to draw.
struct Drawn {
    count: usize,
    settings: DrawSettings,
    json: bool,
}

impl Drawn {
    /// Writes the images: into a grid if `--out` names a PNG file, otherwise into a folder, `sample-0001.png` and so on.
    fn write(
        &self,
        engine: &Engine,
        parts: RunParts,
        compared: Option<Compared<'_>>,
        run: &Path,
        args: &Args,
    ) -> anyhow::Result<ExitCode> {
        let start = Instant::now();
        let (features, real) = match compared {
            Some(compared) => (
                Some(compared.features),
                Some((compared.real, compared.count)),
            ),
            None => (None, None),
        };
        let opened = || -> wgrad::Result<Drawing<'_>> {
            let drawing = Drawing::new(engine, parts, &self.settings)?;
            Ok(match features {
                Some(features) => drawing.measured_by(features),
                None => drawing,
            })
        };
        let is_file = |path: &&PathBuf| {
            let ending = path.extension();
            ending.is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
        };
        let (key, place, drawing) = match &args.out {
            Some(file) if is_file(&file) => {
                args.overwrite.check(file)?;
                let mut drawing = opened()?;
                write_whole(file, &drawing.grid(self.count)?)?;
                ("file", file.clone(), drawing)
            }
            out => {
                if let Some(out) = out {
                    (0..self.count)
                        .try_for_each(|number| args.overwrite.check(&sample_path(out, number)))?;
                }
                // A folder for each seed, so that images of another seed are not overwritten.
                let own = || run.join(format!("generated/seed-{}", self.settings.seed));
                let out = out.clone().unwrap_or_else(own);
                let mut drawing = opened()?;
                std::fs::create_dir_all(&out).map_err(Error::io("create", &out))?;
                drawing.draw(self.count, |number, file| {
                    write_whole(&sample_path(&out, number), &file)
                })?;
                ("folder", out, drawing)
            }
        };
        let distance = match &real {
            Some((real, _)) => Some(drawing.moments()?.distance(real)?),
            None => None,
        };
        if self.json {
            let mut line = json!({
                "pictures": self.count,
                key: place.display().to_string(),
                "seed": self.settings.seed,
                "seconds": start.elapsed().as_secs_f64(),
                "adapter": engine.name(),
            });
            if let Some(distance) = distance {
                line["frechet_distance"] = distance.into();
            }
            print_line(line)?;
        } else {
            print_line(format_args!("{} images in {}", self.count, place.display()))?;
            if let (Some(distance), Some((_, count))) = (distance, real) {
                print_line(format_args!(
                    "Fréchet distance {distance:.2} to {count} test images"
                ))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
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
