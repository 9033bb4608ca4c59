//! `wgrad explain`

use super::opened::OpenedRun;
use super::predict::given::Given;
use super::{DeviceArgs, OverwriteArg, RunArg, WeightsArg, WithArg, choice, note, print_line};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::{Part, PredictInput};
use wgrad::device::Engine;
use wgrad::explain::{ExplainMethod, ExplainSettings, ExplainedImage, Explainer, overlay};
use wgrad::files::write_whole;
use wgrad::tasks::scores::softmax;

/// Images that are computed at once.
const BATCH: usize = 50;
/// Classes that are shown for each image.
const TOP: usize = 3;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Image files, or folders of them
    #[arg(value_name = "FILE", required_unless_present = "part")]
    files: Vec<PathBuf>,
    /// Explain the first images of a part of the run's own data
    #[arg(long, value_parser = choice::part(), conflicts_with = "files")]
    part: Option<Part>,
    /// Most images to explain
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    samples: u16,
    /// Methods, one picture each [default: all that suit the model]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = choice::explanation())]
    method: Vec<ExplainMethod>,
    /// The class to explain, by its name or number [default: the predicted one]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The convolution of Grad-CAM, by the name of its layer [default: the last one]
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Steps of integrated gradients, and copies of SmoothGrad
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: u16,
    /// Side of the black squares of occlusion, in pixels [default: a seventh of the image]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    side: Option<u16>,
    /// Invert brightness first: for dark strokes on light paper
    #[arg(long)]
    invert: bool,
    /// Folder for the pictures [default: explanations in the run folder; of a network file, here]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write a page with all images, their predictions and explanations
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
    /// Print one JSON line for each method and image, and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.html {
        args.overwrite.check(path)?;
    }
    let opened = OpenedRun::open(&args.run.run)?;
    let (folder, mut settings) = (&opened.folder, opened.settings.clone());
    args.device.clone().apply(&mut settings);
    settings.check()?;
    if settings.is_agent() {
        let message = "the run is that of an agent; explanations are of classifiers of images";
        return Err(Error::Config(message.to_string()).into());
    }
    let (weights, _) = args.weights.path(folder);
    let parts = args
        .with
        .resolve(&opened, &args.weights, &settings, &weights)?;
    let given = match args.part {
        Some(part) => Given::part(part, &mut settings)?,
        None => {
            let paths = args.files.iter().cloned().map(PredictInput::Path);
            let model = parts.models.first()?;
            let inputs: Vec<PredictInput> = paths.collect();
            Given::inputs(&inputs, &args.run.run, &settings, model, args.invert)?
        }
    };
    given.notes.iter().for_each(note);
    let (engine, device_note) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        folder.recorded_variants()?,
    )?;
    device_note.iter().for_each(note);
    let classes = parts.fitted.classes.clone();
    let name = |class: u32| match classes.get(class as usize) {
        Some(name) => name.clone(),
        None => class.to_string(),
    };
    let asked = args
        .class
        .as_deref()
        .map(|name| super::attack::class("--class", name, &classes));
    let asked = asked.transpose()?;
    let methods = match &args.method[..] {
        [] => &ExplainMethod::ALL,
        named => named,
    };
    let own = ExplainSettings {
        layer: args.layer.clone(),
        steps: args.steps as usize,
        side: args.side.map(usize::from),
        seed: settings.seed,
        ..ExplainSettings::default()
    };
    let out = match &args.out {
        Some(out) => out.clone(),
        None if opened.is_temporary() => PathBuf::from("explanations"),
        None => folder.path.join("explanations"),
    };
    std::fs::create_dir_all(&out).map_err(Error::io("create", &out))?;
    let mut explainer = Explainer::new(parts.image_classifier(&engine, BATCH)?, own);
    let mut explained = Vec::new();
    let (mut index, mut troubled) = (0, false);
    for item in &given.items {
        if let Some(trouble) = &item.trouble {
            note(format_args!("{}: {trouble}", shown(&item.name.value)));
            troubled = true;
            continue;
        }
        if index == args.samples as usize {
            note(format_args!(
                "only the first {index} of {} images are explained; --samples N explains more",
                given.set.len()
            ));
            break;
        }
        let picture = given.set.picture(index)?;
        let picture = picture.ok_or_else(|| {
            Error::Config(
                "the run takes no images; explanations are of classifiers of images".to_string(),
            )
        })?;
        let pixels: Vec<f32> = picture
            .iter()
            .map(|&byte| f32::from(byte) / 255.0)
            .collect();
        let probabilities = softmax(&explainer.logits(&pixels)?);
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let class = asked.unwrap_or(order[0] as u32);
        let mut image = ExplainedImage {
            name: shown(&item.name.value),
            shape: explainer.shape(),
            predictions: order
                .iter()
                .take(TOP)
                .map(|&class| (name(class as u32), probabilities[class]))
                .collect(),
            explained: name(class),
            explanations: Vec::new(),
            pixels,
        };
        for &method in methods {
            let found = match explainer.explain(method, &image.pixels, class, index) {
                Ok(found) => found,
                // A model without a convolution has no Grad-CAM; it is an error only where one was asked for.
                Err(error) if args.method.is_empty() && args.layer.is_none() => {
                    note(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let file = out.join(format!("{}-{}.png", stem(&image.name), method.name()));
            if let Some(png) = overlay(image.shape, &image.pixels, found.shape, &found.values)? {
                write_whole(&file, &png)?;
            }
            if args.json {
                print_line(json!({
                    "event": "explanation",
                    "method": method.name(),
                    "input": image.name,
                    "class": image.explained,
                    "probability": probabilities[class as usize],
                    "file": file.display().to_string(),
                    "completeness": found.completeness.map(|missed| 1.0 - missed),
                    "shape": found.shape,
                    "values": found.values,
                }))?;
            }
            image.explanations.push(found);
        }
        if !args.json {
            let predictions = image.predictions.iter();
            let predictions: Vec<String> = predictions
                .map(|(name, share)| format!("{name} {:.1}%", 100.0 * share))
                .collect();
            print_line(format_args!("{}: {}", image.name, predictions.join("  ")))?;
        }
        explained.push(image);
        index += 1;
    }
    if explained.is_empty() {
        return Err(Error::Data("there is no image to explain".to_string()).into());
    }
    if let Some(path) = &args.html {
        write_whole(
            path,
            ExplainedImage::page(&settings.title(), &explained)?.as_bytes(),
        )?;
    }
    if !args.json {
        print_line(format_args!("wrote the pictures to {}", out.display()))?;
        if let Some(path) = &args.html {
            print_line(format_args!("wrote {}", path.display()))?;
        }
    }
    Ok(match troubled {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// The name of an input as text.
fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A name for files of the input `name`, of letters, digits, points and dashes.
fn stem(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let kept = |c: char| {
        if c.is_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    last.chars().map(kept).collect()
}
