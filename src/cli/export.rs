//! `wgrad export`

use super::{OverwriteArg, RunArg, SignArg, WeightsArg, note, print_line};
use clap::ValueEnum;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::cpu::Tensor;
use wgrad::data::{Listing, PictureFit};
use wgrad::files::write_whole;
use wgrad::nn::{Model, weights};
use wgrad::onnx::{ExportOptions, WeightStorage, export, export_keras};
use wgrad::provenance::{
    CarriedRoot, ExportRecord, LedgerRecord, LedgerScan, digest_of, digest_of_file,
};
use wgrad::run::RunFolder;
use wgrad::settings::Settings;
use wgrad::web::{self, WebPage};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Format of the file
    #[arg(long, value_enum, default_value = "onnx")]
    format: ExportFormat,
    /// File to write [default: model.FORMAT in the run folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Version of ONNX's operators, from 13 to 21
    #[arg(long, default_value_t = 17)]
    opset: i64,
    /// Store weights of an ONNX file as 16-bit floats
    #[arg(long, conflicts_with = "quantize")]
    half: bool,
    /// Store weights of an ONNX file as integers, with a scale for each output
    #[arg(long, value_enum)]
    quantize: Option<Quantized>,
    /// Write a folder with a page that runs the network in a browser, through WebGPU, on a picture
    #[arg(long, conflicts_with_all = ["format", "opset", "half", "quantize"])]
    web: bool,
    /// Let an ONNX file take pixels from 0 to 255, and normalise them itself
    #[arg(long)]
    pixels: bool,
    /// Model to export, for a task with several, such as generator
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Add low-rank adapters to the weights that they adapt, and leave them out
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    weights: WeightsArg,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    sign: SignArg,
    /// Print one JSON line and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// The whole network, for ONNX Runtime, OpenCV and others
    Onnx,
    /// The whole network, for Keras 3
    Keras,
    /// Weights, with PyTorch's names and layouts
    Safetensors,
    /// Weights as NumPy arrays, with the same names and layouts
    Npz,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Quantized {
    /// 8 bits
    Int8,
}

impl ExportFormat {
    fn ending(self) -> &'static str {
        match self {
            ExportFormat::Onnx => "onnx",
            ExportFormat::Keras => "keras",
            ExportFormat::Safetensors => "safetensors",
            ExportFormat::Npz => "npz",
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let signer = args.sign.read()?;
    let (folder, settings) = Settings::open_run(&args.run.run)?;
    let path = args.weights.path_with_note(&folder);
    let parts = args.weights.resolve(&settings, &path)?;
    let default = match args.web {
        true => "web".to_string(),
        false => format!("model.{}", args.format.ending()),
    };
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.run.run.join(default));
    // The run's own weights are that file already.
    let is_own = out == folder.model_path();
    if is_own {
        return Err(wgrad::Error::Config(format!(
            "{} holds the weights already; name another file with --out",
            out.display()
        ))
        .into());
    }
    let is_onnx = args.format == ExportFormat::Onnx;
    if !is_onnx && (args.half || args.quantize.is_some()) {
        return Err(wgrad::Error::Config(
            "--half and --quantize are for ONNX files; the other formats hold 32-bit floats"
                .to_string(),
        )
        .into());
    }
    if args.pixels && !is_onnx {
        return Err(wgrad::Error::Config(
            "--pixels is for ONNX files; the other formats hold weights alone".to_string(),
        )
        .into());
    }
    args.overwrite.check(&out)?;
    let is_best = args.weights.are_best(&folder);
    let temperature = folder.read_temperature()?.filter(|_| is_best);
    let temperature = temperature.map(|fitted| fitted.temperature);
    if temperature.is_some() && (!is_onnx || args.web) {
        note(
            "the file holds the network as it was trained, without the temperature of the run; ONNX files divide by it",
        );
    }
    let carried = carried(&folder);
    let record = |format: &str| -> wgrad::Result<()> {
        let Some(carried) = &carried else {
            return Ok(());
        };
        let export = export_record(&args.run.run, &out, format, &path, carried)?;
        SignArg::record(&folder, LedgerRecord::Export(export), signer.clone());
        Ok(())
    };
    let models = &parts.models;
    let role = match &args.role {
        Some(role) => role.as_str(),
        None => models.iter().next().map_or("", |(role, _)| role),
    };
    let model = models.get(role)?;
    let values = parts.values.as_deref().unwrap_or_default();
    let values = models.values_of(role, values)?;
    let merged = match args.merge {
        true => Some(model.merged(values)?.ok_or_else(|| {
            wgrad::Error::Config(format!(
                "model {} has no low-rank adapters to merge; leave out --merge, or name some with --lora",
                model.name()
            ))
        })?),
        false => None,
    };
    let (model, values) = match &merged {
        Some(merged) => (&*merged.model, &merged.values[..]),
        None => (model, values),
    };
    if args.web {
        let code = web(&args, &out, &settings, model, values)?;
        record("web")?;
        return Ok(code);
    }
    match args.format {
        ExportFormat::Onnx => {
            let mut noted = settings.clone();
            if args.pixels {
                // What the network is given then is a pixel from 0 to 1 times 255.
                noted.fitted.mean.fill(0.0);
                noted.fitted.std.fill(1.0 / 255.0);
            }
            let mut metadata = noted.notes();
            metadata.extend(carried.as_ref().map(CarriedRoot::note));
            let options = ExportOptions {
                opset: args.opset,
                metadata,
                storage: match (args.half, args.quantize) {
                    (true, _) => WeightStorage::Float16,
                    (false, Some(Quantized::Int8)) => WeightStorage::Int8,
                    (false, None) => WeightStorage::Float32,
                },
                pixels: args.pixels.then(|| {
                    let fitted = &settings.fitted;
                    [fitted.mean.clone(), fitted.std.clone()]
                }),
                temperature,
            };
            write_whole(&out, &export(model, values, &options)?)?;
        }
        ExportFormat::Keras => write_whole(&out, &export_keras(model, values)?)?,
        ExportFormat::Npz => weights::save_npz(&out, weights::StateSpec::of(model), values)?,
        ExportFormat::Safetensors => {
            let notes: Vec<_> = carried.iter().map(CarriedRoot::note).collect();
            let state = weights::StateSpec::of(model);
            write_whole(&out, &weights::to_bytes(&out, state, values, 0, &notes)?)?;
        }
    }
    record(args.format.ending())?;
    let size = fs::metadata(&out).map_or(0, |m| m.len());
    match args.json {
        true => print_line(json!({
            "file": out.display().to_string(),
            "format": args.format.ending(),
            "bytes": size,
            "parameters": model.parameter_count(),
        }))?,
        false => print_line(format_args!(
            "wrote {}: {} weights, {size} bytes",
            out.display(),
            model.parameter_count()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The root of the run's ledger, which the file carries; `None` for runs of earlier versions.
fn carried(folder: &RunFolder) -> Option<CarriedRoot> {
    match LedgerScan::of(&folder.ledger_path()?) {
        Ok(scan) => Some(scan.carried()),
        Err(error) => {
            note(format_args!(
                "the file carries no root of the run: {}",
                error.sentence()
            ));
            None
        }
    }
}

/// What the ledger of the run in the folder `run` says of the file or folder `out`.
fn export_record(
    run: &Path,
    out: &Path,
    format: &str,
    weights: &Path,
    carried: &CarriedRoot,
) -> wgrad::Result<ExportRecord> {
    let sha256 = match out.is_dir() {
        true => {
            let listing = Listing::of(&out.display().to_string())?;
            digest_of(listing.to_text()?.as_bytes())
        }
        false => digest_of_file(out)?,
    };
    let whole = |path: &Path| path.canonicalize().map_err(wgrad::Error::io("read", path));
    let (run, out) = (whole(run)?, whole(out)?);
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    Ok(ExportRecord {
        file: name.into_owned(),
        inside: out.parent() == Some(&run),
        format: format.to_string(),
        sha256,
        weights: digest_of_file(weights)?,
        links: carried.links,
        root: carried.root.clone(),
    })
}

/// Writes the folder for a browser.
fn web(
    args: &Args,
    out: &Path,
    settings: &Settings,
    model: &dyn Model,
    values: &[Tensor<f32>],
) -> anyhow::Result<ExitCode> {
    let can_not = match settings.data.fit {
        PictureFit::Crop | PictureFit::Stretch => None,
        PictureFit::Pad => Some("pad pictures"),
        PictureFit::Tile => Some("cut pictures into tiles"),
    };
    if let Some(what) = can_not {
        anyhow::bail!(
            "the page can't {what}: train with data.fit = \"crop\" or \"stretch\", or export as ONNX"
        );
    }
    let fitted = &settings.fitted;
    let page = WebPage {
        title: settings.title(),
        task: settings.task.name.clone().unwrap_or_default(),
        classes: fitted.classes.clone(),
        mean: fitted.mean.clone(),
        std: fitted.std.clone(),
        crop: settings.data.fit == PictureFit::Crop,
        background: settings.data.background.0,
    };
    let bytes = web::write(out, &page, model, values)?;
    match args.json {
        true => print_line(json!({
            "folder": out.display().to_string(),
            "format": "web",
            "bytes": bytes,
            "parameters": model.parameter_count(),
        }))?,
        false => print_line(format_args!(
            "wrote {}: {} weights, {bytes} bytes; put the folder on a web server, or run python3 -m http.server in it",
            out.display(),
            model.parameter_count()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
