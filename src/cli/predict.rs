//! `wgrad predict`

mod inputs;

use super::{DeviceArgs, RunArg, note, print_line};
use inputs::{Inputs, Item};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::{Format, Scale, target_scales};
use wgrad::device::Engine;
use wgrad::nn::Network;
use wgrad::settings::DataSettings;
use wgrad::train::{RunFolder, Session};

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

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (folder, mut settings) = RunFolder::open(&args.run.run)?;
    settings.init = Some(folder.model_path());
    args.device.clone().apply(&mut settings);
    settings.check()?;
    let network = Network::new(settings.model.clone())?;
    let learned_texts = settings.data.tokenizer.is_some();
    if learned_texts && settings.data.classes.is_empty() {
        let told = format!(
            "{} was trained to write text, not to tell it apart; use `wgrad generate`",
            args.run.run.display()
        );
        return Err(Error::Config(told).into());
    }
    if !learned_texts && !args.text.is_empty() {
        let told = "this run did not learn from texts; name files in place of --text";
        return Err(Error::Config(told.to_string()).into());
    }
    let series = settings.data.format == Some(Format::Series);
    let Inputs { items, set } = match (series, settings.data.columns.is_empty()) {
        (true, _) => inputs::window(&args, &settings)?,
        (false, false) => inputs::rows(&args, &settings)?,
        _ if learned_texts => inputs::texts(&args, &settings)?,
        _ => inputs::pictures(&args, &network, &settings)?,
    };
    let data = settings.data.clone();
    let mut outputs: Vec<Vec<f32>> = Vec::new();
    if !set.is_empty() {
        let (engine, told) = Engine::open(
            settings.device,
            settings.adapter.as_deref(),
            folder.recorded_variants()?,
        )?;
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
            match data.scale {
                _ if series => tell_rows(&args, name, outputs, &data)?,
                Some(scale) => tell_number(&args, name, outputs, scale)?,
                None => tell_classes(&args, item, &softmax(outputs), &data.classes)?,
            }
        }
    }
    Ok(match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Tells of what can't be predicted; the others are.
fn tell_trouble(args: &Args, item: &Item, why: &str) -> anyhow::Result<()> {
    let _ = writeln!(std::io::stderr(), "error: {why}");
    match args.json {
        true => print_line(json!({item.key: item.name, "error": why})),
        false => Ok(()),
    }
}

/// A line for each row that is predicted, in the units of the columns.
fn tell_rows(args: &Args, name: &str, outputs: &[f32], data: &DataSettings) -> anyhow::Result<()> {
    let scales = target_scales(data);
    for (row, values) in outputs.chunks(scales.len()).enumerate() {
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
    item: &Item,
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
