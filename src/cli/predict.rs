//! `wgrad predict`

use super::{DeviceArgs, RunArg, note, print_line};
use anyhow::anyhow;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::{
    Format, ImageSet, PictureShape, Samples, Scale, read_last_window, read_picture, read_rows,
    read_texts, target_scales,
};
use wgrad::nn::Network;
use wgrad::settings::{DataSettings, Settings};
use wgrad::train::{RunFolder, Session, open_engine};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Image files (PNG, JPEG, WebP, GIF, BMP, TIFF and others), or for a run that learned from a table or a series one CSV file, or from texts text files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Classes to show for each image or row
    #[arg(long, default_value_t = 3)]
    top: usize,
    /// Invert brightness first: for dark strokes on light paper
    #[arg(long)]
    invert: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line an image or row and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (folder, mut settings) = RunFolder::open(&args.run.run)?;
    settings.init = Some(folder.model_path());
    args.device.clone().apply(&mut settings);
    settings.check()?;
    let network = Network::new(settings.model.clone())?;
    let series = settings.data.format == Some(Format::Series);
    let (names, set) = match (series, settings.data.columns.is_empty()) {
        (true, _) => window(&args, &settings)?,
        (false, false) => rows(&args, &settings)?,
        _ if settings.data.tokenizer.is_some() => texts(&args, &settings)?,
        _ => pictures(&args, &network, &settings)?,
    };
    let data = settings.data.clone();
    let (engine, told) = open_engine(&settings, folder.recorded_variants()?)?;
    if let Some(told) = told {
        note(told);
    }
    let mut session = Session::evaluation(&engine, settings, network, set)?;
    let mut outputs: Vec<Vec<f32>> = Vec::new();
    session.evaluate_with(|logits, valid| {
        let length = logits.shape.last();
        outputs.extend(
            logits
                .reals()
                .chunks(length)
                .take(valid)
                .map(<[f32]>::to_vec),
        );
        Ok(())
    })?;
    for (name, outputs) in names.iter().zip(&outputs) {
        match data.scale {
            _ if series => tell_rows(&args, name, outputs, &data)?,
            Some(scale) => tell_number(&args, name, outputs, scale)?,
            None => tell_classes(&args, name, &softmax(outputs), &data.classes)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The image files, as the model takes them.
fn pictures(
    args: &Args,
    network: &Network,
    settings: &Settings,
) -> anyhow::Result<(Vec<String>, Samples)> {
    let Some([height, width, channels]) = network.spec.input.image() else {
        return Err(
            Error::Config(format!("model {} does not take images", network.spec.name)).into(),
        );
    };
    if channels != 1 && channels != 3 {
        return Err(Error::Config(format!(
            "the model takes images of {channels} channels; image files give 1 or 3"
        ))
        .into());
    }
    let shape = PictureShape {
        height,
        width,
        channels,
        fit: settings.data.fit,
    };
    let mut images = Vec::with_capacity(args.files.len() * height * width * channels);
    for path in &args.files {
        let picture = read_picture(path, shape);
        images.extend(
            picture.map_err(|e| anyhow!("cannot read {} as an image: {e}", path.display()))?,
        );
    }
    if args.invert {
        images.iter_mut().for_each(|byte| *byte = 255 - *byte);
    }
    let set = ImageSet {
        images,
        labels: vec![0; args.files.len()],
        height,
        width,
        channels,
    };
    let names = args.files.iter().map(|path| path.display().to_string());
    Ok((names.collect(), set.into()))
}

/// The rows of a table, with the columns that the run learned.
fn rows(args: &Args, settings: &Settings) -> anyhow::Result<(Vec<String>, Samples)> {
    let [path] = &args.files[..] else {
        return Err(Error::Config("this run reads tables: name one CSV file".to_string()).into());
    };
    let (set, notes) = read_rows(path, &settings.data).map_err(Error::from)?;
    notes.iter().for_each(note);
    let names = (1..=set.starts.len()).map(|row| format!("{} row {row}", path.display()));
    Ok((names.collect(), set.into()))
}

/// The last rows of a series.
fn window(args: &Args, settings: &Settings) -> anyhow::Result<(Vec<String>, Samples)> {
    let [path] = &args.files[..] else {
        return Err(Error::Config("this run reads series: name one CSV file".to_string()).into());
    };
    let set = read_last_window(path, &settings.data).map_err(Error::from)?;
    Ok((vec![path.display().to_string()], set.into()))
}

/// Files of text, one sample each.
fn texts(args: &Args, settings: &Settings) -> anyhow::Result<(Vec<String>, Samples)> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(Error::io("read", path));
    let texts = args
        .files
        .iter()
        .map(read)
        .collect::<Result<Vec<String>, Error>>()?;
    let set = read_texts(&texts, &settings.data).map_err(Error::from)?;
    let names = args.files.iter().map(|path| path.display().to_string());
    Ok((names.collect(), set.into()))
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
    name: &str,
    probabilities: &[f64],
    classes: &[String],
) -> anyhow::Result<()> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    order.truncate(args.top.max(1));
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
        return print_line(json!({"file": name, "top": top}));
    }
    let top: Vec<String> = order
        .iter()
        .map(|&index| format!("{} {:.1}%", class(index), 100.0 * probabilities[index]))
        .collect();
    print_line(format_args!("{name}: {}", top.join(", ")))
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
