//! `wgrad models`

use super::planned::{DataArg, planned};
use super::{OverwriteArg, print_line};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::nn::{Model, ModelSpec, Network, PRESETS, weights};
use wgrad::plan::{Plan, Target};
use wgrad::settings::Settings;
use wgrad::{Error, Result};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Batch size for which to report the memory of a training step
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Print one JSON line per model and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum What {
    /// Print the file of a built-in model, as a starting point for a model of your own
    Show {
        /// Name of the model
        name: String,
        /// Print one JSON line with the text of the file and the layers with their shapes
        #[arg(long)]
        json: bool,
    },
    /// Write the initial weights to a safetensors file with PyTorch's names
    Init {
        /// Settings file, model file, or the name of a built-in model
        #[arg(value_name = "run.toml|MODEL")]
        model: String,
        #[command(flatten)]
        data: DataArg,
        /// Output file
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        overwrite: OverwriteArg,
        /// Random seed [default: that of the settings]
        #[arg(long)]
        seed: Option<u64>,
        /// Print one JSON line and nothing else
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        None => list(args.batch, args.json)?,
        Some(What::Show { name, json }) => show(&name, json)?,
        Some(What::Init {
            model,
            data,
            out,
            overwrite,
            seed,
            json,
        }) => {
            overwrite.check(&out)?;
            init(&planned(&model, &data, Some(1))?.settings, out, seed, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The cost of a model.
struct Needs {
    /// Floating-point operations of one sample's forward pass, of convolutions and matrix products.
    flops: u64,
    /// Bytes of a training step, not counting weights, optimizer state and data.
    workspace: u64,
}

fn list(batch: usize, json: bool) -> anyhow::Result<()> {
    if batch == 0 {
        return Err(Error::Config("batch must be at least 1".to_string()).into());
    }
    if !json {
        print_line(format_args!(
            "{:<16} {:>14} {:>10} {:>9} {:>12}",
            "model", "input", "parameters", "GFLOP", "memory MiB"
        ))?;
    }
    for preset in PRESETS {
        let network = Network::new(ModelSpec::preset(preset.name)?)?;
        let needs = needs(&network, batch)?;
        if json {
            print_line(json!({
                "name": preset.name,
                "about": preset.about,
                "input": network.spec.input,
                "classes": network.outputs().first().and_then(|output| output.shape.last()),
                "parameters": network.parameter_count(),
                "flops": needs.flops,
                "batch": batch,
                "workspace_bytes": needs.workspace,
            }))?;
        } else {
            print_line(format_args!(
                "{:<16} {:>14} {:>10} {:>9.3} {:>12.1}  {}",
                preset.name,
                network.spec.input.to_string(),
                network.parameter_count(),
                needs.flops as f64 / 1e9,
                needs.workspace as f64 / f64::from(1 << 20),
                preset.about
            ))?;
        }
    }
    if !json {
        print_line(format_args!(
            "GFLOP: forward pass of one sample. Memory: a training step with batch {batch}, not counting weights, optimizer state and data."
        ))?;
    }
    Ok(())
}

fn needs(network: &Network, batch: usize) -> Result<Needs> {
    let mut settings = Settings {
        model: network.spec.clone(),
        ..Settings::default()
    };
    let parts = settings.resolve_without_data()?;
    let layout = |set, batch| parts.example_layout(set, batch, batch);
    // What a model needs does not depend on what an adapter could bind.
    let target = Target {
        max_binding_bytes: u64::MAX,
        max_buffer_bytes: u64::MAX,
        ..Target::portable()
    };
    let forward = parts.evaluation_graph(layout("test", 1)?)?;
    let phases = parts.training_graphs(layout("train", batch)?)?;
    let workspaces = phases.iter().map(|phase| {
        let plan = Plan::new(&phase.gradients, &target)?;
        Ok(plan.workspace_bytes())
    });
    let launches = Plan::new(&forward, &target)?;
    Ok(Needs {
        flops: launches.launches().map(|launch| launch.flops).sum(),
        workspace: workspaces.sum::<Result<u64>>()?,
    })
}

fn show(name: &str, json: bool) -> anyhow::Result<()> {
    let spec = ModelSpec::preset(name)?;
    let text = PRESETS
        .iter()
        .find(|p| p.name == name)
        .map_or("", |p| p.text);
    if !json {
        return print_line(text.trim_end());
    }
    let network = Network::new(spec)?;
    let layers: Vec<Value> = network
        .layers
        .iter()
        .map(|(name, shape)| json!({ "name": name, "shape": shape }))
        .collect();
    print_line(json!({ "name": name, "file": text, "layers": layers }))
}

fn init(settings: &Settings, out: PathBuf, seed: Option<u64>, json: bool) -> anyhow::Result<()> {
    let seed = seed.unwrap_or(settings.seed);
    let network = Network::new(settings.model.clone())?;
    weights::save(&out, &network, &network.initial_state(seed), 0)?;
    if json {
        return print_line(json!({
            "model": network.spec.name,
            "seed": seed,
            "parameters": network.parameter_count(),
            "file": out,
        }));
    }
    print_line(format_args!(
        "{}: {} parameters from seed {seed} in {}",
        network.spec.name,
        network.parameter_count(),
        out.display()
    ))
}
