//! `wgrad predict`

use super::{DeviceArgs, RunArg, note, print_line};
use anyhow::{Context as _, anyhow};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::ImageSet;
use wgrad::nn::Network;
use wgrad::train::{RunFolder, Session, open_engine};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// PNG or JPEG files
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Classes to show for each image
    #[arg(long, default_value_t = 3)]
    top: usize,
    /// Invert brightness first: for dark strokes on light paper
    #[arg(long)]
    invert: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line an image and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (folder, mut settings) = RunFolder::open(&args.run.run)?;
    settings.init = Some(folder.model_path());
    args.device.apply(&mut settings);
    settings.check()?;
    let network = Network::new(settings.model.clone())?;
    let &[height, width, channels] = &network.spec.input[..] else {
        return Err(
            Error::Config(format!("model {} does not take images", network.spec.name)).into(),
        );
    };
    let mut images = Vec::with_capacity(args.images.len() * height * width * channels);
    for path in &args.images {
        images.extend(pixels(path, height, width, channels, args.invert)?);
    }
    let classes = settings.data.classes.clone();
    let labels = vec![0; args.images.len()];
    let set = ImageSet {
        images,
        labels,
        height,
        width,
        channels,
    };
    let (engine, told) = open_engine(&settings, folder.recorded_variants()?)?;
    if let Some(told) = told {
        note(told);
    }
    let mut session = Session::evaluation(&engine, settings, network, set)?;
    let mut rows: Vec<Vec<f64>> = Vec::new();
    session.evaluate_with(|logits, valid| {
        let classes = logits.shape.last();
        rows.extend(logits.reals().chunks(classes).take(valid).map(softmax));
        Ok(())
    })?;
    for (path, probabilities) in args.images.iter().zip(rows) {
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        order.truncate(args.top.max(1));
        let name = |class: usize| {
            classes
                .get(class)
                .cloned()
                .unwrap_or_else(|| class.to_string())
        };
        if args.json {
            let top: Vec<_> = order
                .iter()
                .map(|&class| json!({"class": name(class), "probability": probabilities[class]}))
                .collect();
            print_line(json!({"file": path.display().to_string(), "top": top}))?;
        } else {
            let top: Vec<String> = order
                .iter()
                .map(|&class| format!("{} {:.1}%", name(class), 100.0 * probabilities[class]))
                .collect();
            print_line(format_args!("{}: {}", path.display(), top.join(", ")))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The bytes of an image file, resized to what the model takes.
fn pixels(
    path: &Path,
    height: usize,
    width: usize,
    channels: usize,
    invert: bool,
) -> anyhow::Result<Vec<u8>> {
    let mut reader = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .with_context(|| format!("cannot read {}", path.display()))?;
    // A small file can claim to be a huge image.
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(16_384);
    limits.max_image_height = Some(16_384);
    limits.max_alloc = Some(1 << 30);
    reader.limits(limits);
    let decoded = reader
        .decode()
        .map_err(|e| anyhow!("cannot read {} as a PNG or JPEG image: {e}", path.display()))?;
    let filter = image::imageops::FilterType::Triangle;
    let resized = if (decoded.height() as usize, decoded.width() as usize) == (height, width) {
        decoded
    } else {
        decoded.resize_exact(width as u32, height as u32, filter)
    };
    let mut bytes = match channels {
        1 => resized.into_luma8().into_raw(),
        3 => resized.into_rgb8().into_raw(),
        n => {
            return Err(Error::Config(format!(
                "the model takes images of {n} channels; image files give 1 or 3"
            ))
            .into());
        }
    };
    if invert {
        bytes.iter_mut().for_each(|b| *b = 255 - *b);
    }
    Ok(bytes)
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
