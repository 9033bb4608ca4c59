//! `wgrad run`

use super::{DeviceArgs, OverwriteArg, note, print_line};
use anyhow::Context as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::data::read_npy;
use wgrad::device::{DeviceChoice, Engine};
use wgrad::onnx::{self, Computed, OnnxFile};

#[derive(clap::Args)]
pub(super) struct Args {
    /// ONNX file
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// An input of the network, from a file .npy with the shape that the network declares
    #[arg(long = "input", value_name = "NAME=FILE.npy")]
    inputs: Vec<String>,
    /// Folder for the outputs, a file NAME.npy each
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Print one JSON line with the outputs and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let file = OnnxFile::read(&args.model)?;
    let mut inputs = BTreeMap::new();
    for given in &args.inputs {
        let (name, path) = named(given, &file)?;
        inputs.insert(name, read_npy(&path)?);
    }
    let choice = match args.device.adapter {
        Some(_) => DeviceChoice::Gpu,
        None => args.device.device.unwrap_or_default(),
    };
    let (engine, remark) = Engine::open(choice, args.device.adapter.as_deref(), None)?;
    remark.iter().for_each(note);
    let outputs = onnx::run(&file, engine.device(), &inputs)?;
    if let Some(out) = &args.out {
        fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
        for output in &outputs {
            let path = out.join(format!("{}.npy", file_name(&output.name)));
            args.overwrite.check(&path)?;
            fs::write(&path, output.array.to_npy())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    if args.json {
        let described = outputs.iter().map(|output| {
            json!({
                "name": output.name,
                "dtype": output.array.element.to_string(),
                "shape": output.array.dims,
            })
        });
        print_line(json!({
            "model": args.model.display().to_string(),
            "device": engine.name(),
            "outputs": described.collect::<Vec<_>>(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for output in &outputs {
        print_line(described(output))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The name of an input and its file; a file alone is that of the only input.
fn named(given: &str, file: &OnnxFile) -> wgrad::Result<(String, PathBuf)> {
    // Names may hold equals signs, too.
    let known = file.inputs.iter().find_map(|input| {
        let path = given.strip_prefix(&input.name)?.strip_prefix('=')?;
        Some((input.name.clone(), PathBuf::from(path)))
    });
    if let Some(known) = known {
        return Ok(known);
    }
    match (given.split_once('='), &file.inputs[..]) {
        (Some((name, path)), _) => Ok((name.to_string(), PathBuf::from(path))),
        (None, [only]) => Ok((only.name.clone(), PathBuf::from(given))),
        (None, _) => Err(wgrad::Error::Config(format!(
            "--input {given} names no input; write NAME=FILE.npy"
        ))),
    }
}

/// The name of an output's file: separators of folders become underscores.
fn file_name(name: &str) -> String {
    let safe = |c: char| match c {
        '/' | '\\' | ':' | '\0' => '_',
        c => c,
    };
    let name: String = name.chars().map(safe).collect();
    match name.as_str() {
        "" | "." | ".." => "output".to_string(),
        _ => name,
    }
}

/// An output in a line: shape, type, and the first elements or their range.
fn described(output: &Computed) -> String {
    let array = &output.array;
    let finite = || array.iter().filter(|x| x.is_finite());
    let values = match array.len() {
        0 => "no elements".to_string(),
        1..=8 => {
            let shown: Vec<String> = array.iter().map(|x| format!("{x:.6}")).collect();
            shown.join(" ")
        }
        _ => format!(
            "from {:.6} to {:.6}, mean {:.6}",
            finite().fold(f64::INFINITY, f64::min),
            finite().fold(f64::NEG_INFINITY, f64::max),
            finite().sum::<f64>() / finite().count().max(1) as f64
        ),
    };
    format!(
        "{}: {} {:?}, {values}",
        output.name, array.element, array.dims
    )
}
