//! `wgrad predict`

use super::{DeviceArgs, RunArg, note, print_line};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::{InputContext, PredictInput, PredictInputs, PredictItem, Scale, target_scales};
use wgrad::nn::Network;
use wgrad::settings::Settings;
use wgrad::train::{RunFolder, Session, open_engine};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Image files (PNG, JPEG, WebP, GIF, BMP, TIFF and others) or folders of them; for a run that learned from a table or a series one CSV file; from texts text files, CSV files with a text in each row, or `-` for one text a line of standard input
    #[arg(value_name = "FILE", required_unless_present = "text")]
    files: Vec<PathBuf>,
    /// A text to classify; may be given several times
    #[arg(long, value_name = "TEXT", conflicts_with = "files")]
    text: Vec<String>,
    /// Classes to show for each image, row or text
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Invert brightness first: for dark strokes on light paper
    #[arg(long)]
    invert: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line an image, row or text and nothing else
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The files, or the texts; `-` stands for standard input.
    fn inputs(&self) -> Vec<PredictInput> {
        let file = |path: &PathBuf| match path.as_os_str() == "-" {
            true => PredictInput::StandardInput,
            false => PredictInput::Path(path.clone()),
        };
        let texts = self.text.iter().cloned().map(PredictInput::Text);
        self.files.iter().map(file).chain(texts).collect()
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (folder, mut settings) = RunFolder::open(&args.run.run)?;
    settings.init = Some(folder.model_path());
    args.device.clone().apply(&mut settings);
    settings.check()?;
    let network = Network::new(settings.model.clone())?;
    let format = settings.fitted.format.ok_or_else(|| {
        Error::Config(format!(
            "{} does not say in what format its data were: train it again",
            args.run.run.display()
        ))
    })?;
    let PredictInputs { items, set, notes } = format.read_inputs(
        &args.inputs(),
        &InputContext {
            settings: &settings.data,
            fitted: &settings.fitted,
            model: &network.spec.name,
            image: network.spec.input.image(),
            invert: args.invert,
        },
    )?;
    notes.iter().for_each(note);
    let found = settings.clone();
    let mut outputs: Vec<Vec<f32>> = Vec::new();
    if !set.is_empty() {
        let (engine, told) = open_engine(&settings, folder.recorded_variants()?)?;
        if let Some(told) = told {
            note(told);
        }
        let mut session = Session::evaluation(&engine, settings, network, set)?;
        session.evaluate_with(|logits, valid| {
            let rows = logits.reals().chunks(logits.shape.last());
            outputs.extend(rows.take(valid).map(<[f32]>::to_vec));
            Ok(())
        })?;
    }
    let mut outputs = outputs.iter();
    let mut failed = false;
    for item in &items {
        let name = &item.name;
        if let Some(why) = &item.trouble {
            failed = true;
            tell_trouble(&args, item, why)?;
        } else if let Some(outputs) = outputs.next() {
            match (&found.fitted.classes[..], found.fitted.scale) {
                ([], Some(scale)) => tell_number(&args, name, outputs, scale)?,
                ([], None) => tell_rows(&args, name, outputs, &found)?,
                (classes, _) => tell_classes(&args, item, &softmax(outputs), classes)?,
            }
        }
    }
    Ok(match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Tells of what can't be predicted; the others are.
fn tell_trouble(args: &Args, item: &PredictItem, why: &str) -> anyhow::Result<()> {
    let _ = writeln!(std::io::stderr(), "error: {why}");
    match args.json {
        true => print_line(json!({item.key: item.name, "error": why})),
        false => Ok(()),
    }
}

/// A line for each row that is predicted, in the units of the columns.
fn tell_rows(args: &Args, name: &str, outputs: &[f32], run: &Settings) -> anyhow::Result<()> {
    let scales = target_scales(&run.data, &run.fitted);
    for (row, values) in outputs.chunks(scales.len().max(1)).enumerate() {
        let values = values.iter().zip(&scales);
        let own = values.map(|(&x, (name, mean, std))| (name, f64::from(x) * std + mean));
        if args.json {
            let values: serde_json::Map<String, serde_json::Value> = own
                .map(|(name, value)| (name.clone(), value.into()))
                .collect();
            print_line(json!({"file": name, "after": row + 1, "values": values}))?;
        } else {
            let values: Vec<String> = own
                .map(|(name, value)| format!("{name} {value:.4}"))
                .collect();
            print_line(format_args!("{name} + {}: {}", row + 1, values.join(", ")))?;
        }
    }
    Ok(())
}

fn tell_number(args: &Args, name: &str, outputs: &[f32], scale: Scale) -> anyhow::Result<()> {
    let values: Vec<f64> = outputs
        .iter()
        .map(|&x| f64::from(x) * scale.std + scale.mean)
        .collect();
    if args.json {
        return print_line(json!({"file": name, "value": values[0]}));
    }
    print_line(format_args!("{name}: {:.4}", values[0]))
}

fn tell_classes(
    args: &Args,
    item: &PredictItem,
    probabilities: &[f64],
    classes: &[String],
) -> anyhow::Result<()> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    order.truncate(args.top.into());
    let class = |index: usize| {
        classes
            .get(index)
            .cloned()
            .unwrap_or_else(|| index.to_string())
    };
    if args.json {
        let top: Vec<_> = order
            .iter()
            .map(|&index| json!({"class": class(index), "probability": probabilities[index]}))
            .collect();
        return print_line(json!({item.key: item.name, "top": top}));
    }
    let top: Vec<String> = order
        .iter()
        .map(|&index| format!("{} {:.1}%", class(index), 100.0 * probabilities[index]))
        .collect();
    print_line(format_args!("{}: {}", item.name, top.join(", ")))
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits
        .iter()
        .map(|&x| f64::from(x - largest).exp())
        .collect();
    let total: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / total).collect()
}
