//! `wgrad import`

use super::{OverwriteArg, print_line};
use anyhow::Context as _;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::files::write_whole;
use wgrad::nn::layers::Dense;
use wgrad::nn::{Layer, NamedUnits, OnnxLayer, Units};
use wgrad::onnx::{Declared, OnnxNetwork, OnnxSummary, operator_names};

#[derive(clap::Args)]
pub(super) struct Args {
    /// ONNX file, or a Sequential or Functional model of Keras
    #[arg(
        value_name = "MODEL.onnx|MODEL.keras|MODEL.h5",
        required_unless_present = "operators"
    )]
    model: Option<PathBuf>,
    /// List the operators that can be read
    #[arg(long)]
    operators: bool,
    /// Folder to write: a copy of the file, and model.toml, which names it and can be trained
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// The value of the network at which it ends; a dense layer for the classes of the data follows
    #[arg(long, value_name = "VALUE")]
    cut: Option<String>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Print one JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(model) = &args.model else {
        let mut names: Vec<&str> = operator_names().collect();
        names.sort_unstable();
        names.into_iter().try_for_each(print_line)?;
        return Ok(ExitCode::SUCCESS);
    };
    let network = OnnxNetwork::read(model)?;
    let summary = OnnxSummary::of(&network);
    if let Some(out) = &args.out {
        let mut spec = network.spec()?;
        let ending = model.extension().map(|e| e.to_string_lossy().into_owned());
        let name = format!("network.{}", ending.as_deref().unwrap_or("onnx"));
        let (file, described) = (out.join(&name), out.join("model.toml"));
        args.overwrite.check(&file)?;
        args.overwrite.check(&described)?;
        fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
        let bytes = fs::read(model).with_context(|| format!("cannot read {}", model.display()))?;
        write_whole(&file, &bytes)?;
        let layer = OnnxLayer::new(PathBuf::from(name), args.cut.clone());
        spec.layers = vec![Layer::new(layer)];
        if args.cut.is_some() {
            spec.layers
                .push(Layer::new(Dense::new(Units::Named(NamedUnits::Classes))));
        }
        let text = toml::to_string(&spec).context("cannot write the model")?;
        write_whole(&described, text.as_bytes())?;
    }
    match args.json {
        true => print_line(json!(summary))?,
        false => tell(&network, &summary, args.out.as_ref())?,
    }
    match summary.unsupported.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

fn tell(network: &OnnxNetwork, summary: &OnnxSummary, out: Option<&PathBuf>) -> anyhow::Result<()> {
    let file = network.file();
    let declared = |value: &Declared| {
        let element = value.element.map_or("?".to_string(), |e| e.to_string());
        format!("{} {element} {}", value.name, value.shape_in_words())
    };
    let by = match file.producer.as_str() {
        "" => String::new(),
        producer => format!(", written by {producer}"),
    };
    match file.channels_last {
        true => print_line(format_args!("{}{by}", file.path.display()))?,
        false => print_line(format_args!(
            "{}: version {} of ONNX's operators{by}",
            file.path.display(),
            file.opset
        ))?,
    }
    for input in &file.inputs {
        print_line(format_args!("input   {}", declared(input)))?;
    }
    for output in &file.outputs {
        print_line(format_args!("output  {}", declared(output)))?;
    }
    print_line(format_args!(
        "weights {} in {} tensors",
        summary.parameter_count,
        summary.parameters.len()
    ))?;
    let operators = summary
        .operators
        .iter()
        .map(|(name, count)| format!("{name} {count}"));
    print_line(format_args!(
        "nodes   {}",
        operators.collect::<Vec<_>>().join(", ")
    ))?;
    let last = summary.values.len().saturating_sub(6);
    print_line(format_args!(
        "values  ..., {}",
        summary.values[last..].join(", ")
    ))?;
    for reason in &summary.unsupported {
        print_line(format_args!("missing {reason}"))?;
    }
    if let Some(out) = out {
        print_line(format_args!(
            "wrote {}: train it with wgrad train {} --data ...",
            out.display(),
            out.join("model.toml").display()
        ))?;
    }
    Ok(())
}
