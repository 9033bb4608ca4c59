//! `wgrad run`

use super::{DeviceArgs, OverwriteArg, WeightsArg, note, print_line};
use anyhow::Context as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::cpu::Tensor;
use wgrad::data::{NpyArray, read_npy};
use wgrad::device::{DeviceChoice, Engine};
use wgrad::files::write_whole;
use wgrad::onnx::{self, Array, Computed, Element, OnnxFile};
use wgrad::settings::{Settings, is_network_file};
use wgrad::tensor::DType;
use wgrad::train::Predictor;

#[derive(clap::Args)]
pub(super) struct Args {
    /// ONNX or Keras file, folder of a run, or model (see `wgrad models`)
    #[arg(value_name = "MODEL.onnx|MODEL.keras|RUN|MODEL")]
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
    weights: WeightsArg,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Print one JSON line with the outputs and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let choice = match &args.device.adapter {
        Some(_) => DeviceChoice::Gpu,
        None => args.device.device.unwrap_or_default(),
    };
    let (engine, remark) = Engine::open(choice, args.device.adapter.as_deref(), None)?;
    remark.iter().for_each(note);
    let outputs = match is_network_file(&args.model) {
        true => of_file(&args, &engine)?,
        false => of_model(&args, &engine)?,
    };
    if let Some(out) = &args.out {
        fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
        for output in &outputs {
            let path = out.join(format!("{}.npy", file_name(&output.name)));
            args.overwrite.check(&path)?;
            write_whole(&path, &output.array.to_npy())?;
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

/// The outputs of an ONNX file.
fn of_file(args: &Args, engine: &Engine) -> wgrad::Result<Vec<Computed>> {
    let file = OnnxFile::read(&args.model)?;
    let names: Vec<&str> = file
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    let inputs = arrays(&args.inputs, &names)?;
    onnx::run(&file, engine.device(), &inputs)
}

/// The outputs of the model of a run, or of a model with its initial weights.
fn of_model(args: &Args, engine: &Engine) -> wgrad::Result<Vec<Computed>> {
    let (parts, seed) = match args.model.is_dir() {
        true => {
            let (folder, settings) = Settings::open_run(&args.model)?;
            let path = args.weights.path_with_note(&folder);
            (args.weights.resolve(&settings, &path)?, settings.seed)
        }
        false => {
            let mut settings = Settings::named(&args.model.to_string_lossy(), Path::new(""))?;
            (settings.resolve_without_data()?, settings.seed)
        }
    };
    let values = match &parts.values {
        Some(values) => values.clone(),
        None => parts.models.initial_state(seed),
    };
    let model = parts.models.first()?;
    let role = parts.models.iter().next().map_or("", |(role, _)| role);
    let names: Vec<&str> = model
        .inputs()
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    let given = arrays(&args.inputs, &names)?;
    let batch = given.values().next().and_then(|array| array.shape.first());
    let batch = batch.copied().filter(|&n| n > 0).ok_or_else(|| {
        wgrad::Error::Config(format!(
            "no samples are given; give the inputs {} with --input NAME=FILE.npy",
            names.join(", ")
        ))
    })?;
    let values = parts.models.values_of(role, &values)?;
    let mut predictor = Predictor::new(engine.device(), model, values, batch)?;
    let mut fed = Vec::new();
    for (name, ty) in predictor.inputs() {
        let array = given.get(name).ok_or_else(|| {
            wgrad::Error::Config(format!(
                "the input {name} is missing; give it with --input {name}=FILE.npy"
            ))
        })?;
        if array.shape != ty.dims() {
            return Err(wgrad::Error::Config(format!(
                "the input {name} is {}, and an array of {:?} was given",
                ty.shape, array.shape
            )));
        }
        let tensor = match ty.dtype {
            DType::F32 => {
                let values = array.numbers.iter().map(|&x| x as f32);
                Tensor::real(ty.shape.clone(), values.collect())
            }
            DType::U32 => {
                let values = array.numbers.iter().map(|&x| x as u32);
                Tensor::index(ty.shape.clone(), values.collect())
            }
        };
        fed.push((name.clone(), tensor));
    }
    let fed: Vec<(&str, &Tensor<f32>)> = fed.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let outputs = predictor.run(&fed)?.into_iter().map(|(name, tensor)| {
        let numbers = tensor.reals().iter().map(|&x| f64::from(x)).collect();
        let array = Array::new(Element::Float, tensor.shape.dims().to_vec(), numbers);
        Computed { name, array }
    });
    Ok(outputs.collect())
}

/// The arrays of the inputs `names`.
fn arrays(given: &[String], names: &[&str]) -> wgrad::Result<BTreeMap<String, NpyArray>> {
    let mut arrays = BTreeMap::new();
    for given in given {
        let (name, path) = named(given, names)?;
        arrays.insert(name, read_npy(&path)?);
    }
    Ok(arrays)
}

/// The name of an input and its file; a file alone is that of the only input.
fn named(given: &str, names: &[&str]) -> wgrad::Result<(String, PathBuf)> {
    // Names may hold equals signs, too.
    let known = names.iter().find_map(|name| {
        let path = given.strip_prefix(name)?.strip_prefix('=')?;
        Some((name.to_string(), PathBuf::from(path)))
    });
    if let Some(known) = known {
        return Ok(known);
    }
    match (given.split_once('='), names) {
        (Some((name, path)), _) => Ok((name.to_string(), PathBuf::from(path))),
        (None, [only]) => Ok((only.to_string(), PathBuf::from(given))),
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
