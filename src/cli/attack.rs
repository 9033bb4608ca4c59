//! `wgrad attack`

use super::opened::OpenedRun;
use super::table::TextTable;
use super::{DeviceArgs, OverwriteArg, RunArg, WeightsArg, WithArg, choice, note, print_line};
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::attack::{Attack, AttackMethod, Robustness, Strength};
use wgrad::data::Part;
use wgrad::device::Engine;
use wgrad::files::write_whole;
use wgrad::tasks::ChangeNorm;

/// Images that are attacked at once.
const BATCH: usize = 250;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// The attack: one gradient step, several of them, the smallest change that misleads, or random squares without gradients
    #[arg(long, value_parser = choice::attack(), default_value = "pgd")]
    attack: AttackMethod,
    /// How the change of an image is measured: by its largest pixel, or as the length of all changes
    #[arg(long, value_parser = choice::change_norm(), default_value = "linf")]
    norm: ChangeNorm,
    /// Bounds of the change, as shares of the range of a pixel; one after another
    #[arg(long, value_name = "NUMBER,...", value_delimiter = ',', value_parser = share, default_value = "2/255,4/255,8/255")]
    epsilon: Vec<f64>,
    /// Steps, or queries of square [default: 40 of pgd, 50 of deepfool, 1000 of square]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    steps: Option<u32>,
    /// Length of a step of pgd [default: 2.5 times the bound, divided by the steps]
    #[arg(long, value_name = "NUMBER", value_parser = share)]
    step_size: Option<f64>,
    /// Random starts of pgd, of which one has to succeed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    restarts: u16,
    /// The class that images shall be taken for, by its name or number, in place of any wrong one
    #[arg(long, value_name = "CLASS")]
    target: Option<String>,
    /// Number of images, from the first one on
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Seed of what is drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Attack images of another data set
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Part of the data to attack [default: that of the run's settings, else test]
    #[arg(long, value_parser = choice::part())]
    part: Option<Part>,
    /// Write a page with the accuracy by strength as a curve, and the worst images
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    with: WithArg,
    #[command(flatten)]
    weights: WeightsArg,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line for each strength and nothing else
    #[arg(long)]
    json: bool,
}

/// A number, or a fraction such as 8/255.
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| {
        let value = text.trim().parse::<f64>();
        value.map_err(|_| format!("\"{text}\" is no number; give one such as 0.1 or 8/255"))
    };
    match text.split_once('/') {
        Some((above, below)) => Ok(number(above)? / number(below)?),
        None => number(text),
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.html {
        args.overwrite.check(path)?;
    }
    let opened = OpenedRun::open(&args.run.run)?;
    let (folder, mut settings) = (&opened.folder, opened.settings.clone());
    if settings.is_agent() {
        let message = "the run is that of an agent; attacks are on classifiers of images";
        return Err(wgrad::Error::Config(message.to_string()).into());
    }
    if let Some(data) = args.data {
        settings.data.source = data;
        settings.data.unsplit = true;
    }
    settings.data.evaluate = args.part.unwrap_or(settings.data.evaluate);
    args.device.apply(&mut settings);
    settings.check()?;
    let dataset = settings.load_data()?;
    let (weights, _) = args.weights.path(folder);
    let parts = args
        .with
        .resolve(&opened, &args.weights, &settings, &weights)?;
    let (engine, device_note) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        folder.recorded_variants()?,
    )?;
    device_note.iter().chain(&dataset.notes).for_each(note);
    let samples = dataset.test;
    let classes = parts.fitted.classes.clone();
    let attack = Attack {
        method: args.attack,
        norm: args.norm,
        steps: args
            .steps
            .map_or(args.attack.default_steps(), |steps| steps as usize),
        step_size: args.step_size,
        restarts: args.restarts as usize,
        target: args
            .target
            .map(|name| class("--target", &name, &classes))
            .transpose()?,
        seed: args.seed,
    };
    let most = args.samples as usize;
    let mut classifier = parts.image_classifier(&engine, BATCH.min(most))?;
    let mut printed = Ok(());
    let found = Robustness::measure(
        &mut classifier,
        &samples,
        &attack,
        &args.epsilon,
        most,
        |strength| {
            if args.json && printed.is_ok() {
                printed = print_line(strength.to_json());
            }
        },
    )?;
    printed?;
    if let Some(path) = &args.html {
        write_whole(path, found.page(&settings.title(), &classes)?.as_bytes())?;
    }
    if args.json {
        return Ok(ExitCode::SUCCESS);
    }
    print(&found, &engine)?;
    if let Some(path) = &args.html {
        print_line(format_args!("wrote {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The number of the class `name`, or of that number, which the option `option` names.
pub(super) fn class(option: &str, name: &str, classes: &[String]) -> anyhow::Result<u32> {
    let known = classes.iter().position(|class| class == name);
    let number = name
        .parse()
        .ok()
        .filter(|&number: &usize| number < classes.len());
    match known.or(number) {
        Some(class) => Ok(class as u32),
        None => {
            let message = format!(
                "{option} {name} is no class of the run; its classes are {}",
                classes.join(", ")
            );
            Err(wgrad::Error::Config(message).into())
        }
    }
}

fn print(found: &Robustness, engine: &Engine) -> anyhow::Result<()> {
    let Some(first) = found.strengths.first() else {
        return Ok(());
    };
    print_line(format_args!(
        "accuracy {:.2}% of {} images without an attack ({})",
        100.0 * first.clean_accuracy,
        first.samples,
        engine.name()
    ))?;
    let heads = [
        "attack",
        "norm",
        "bound",
        "steps",
        "starts",
        "accuracy",
        "mean change",
    ];
    let mut table = TextTable::new(heads.map(str::to_string));
    for strength in &found.strengths {
        let Strength { attack, .. } = strength;
        table.push([
            attack.method.name().to_string(),
            attack.norm.name().to_string(),
            format!("{:.4}", strength.epsilon),
            attack.steps.to_string(),
            attack.restarts.to_string(),
            format!("{:.2}%", 100.0 * strength.robust_accuracy),
            strength
                .mean_change
                .map_or("-".to_string(), |size| format!("{size:.4}")),
        ]);
    }
    table
        .lines(TextTable::columns())
        .iter()
        .try_for_each(print_line)
}
