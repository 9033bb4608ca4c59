//! `wgrad tune`

use super::planned::{DataArg, planned};
use super::{DeviceArgs, note, print_line};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use wgrad::Error;
use wgrad::device::DeviceChoice;
use wgrad::gpu::{Gpu, adapters};
use wgrad::graph::Graph;
use wgrad::tune::{Cache, MadeFor, Operation, Tuning, Verdict, operations, tune};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Settings file, model file, or the name of a built-in model
    #[arg(value_name = "run.toml|MODEL", default_value = "mnist-cnn")]
    run: String,
    #[command(flatten)]
    data: DataArg,
    /// Samples per step: kernels are chosen by shape
    #[arg(long, allow_negative_numbers = true)]
    batch: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print the saved choices for all adapters and exit
    #[arg(long, conflicts_with_all = ["run", "data", "batch", "device", "adapter", "clear"])]
    show: bool,
    /// Delete the saved choices for all adapters and exit
    #[arg(long, conflicts_with_all = ["run", "data", "batch", "device", "adapter"])]
    clear: bool,
    /// Print JSON lines and nothing else
    #[arg(long)]
    json: bool,
}

/// Seed of the operands; any value will do.
const SEED: u64 = 1;

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let cache = Cache::of_user()?;
    if args.show {
        return show(&cache, args.json);
    }
    if args.clear {
        let removed = cache.clear()?;
        if args.json {
            print_line(json!({ "removed": removed }))?;
        } else {
            print_line(format_args!("deleted the tuning of {removed} adapters"))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut planned = planned(&args.run, &args.data, args.batch)?;
    let settings = &mut planned.settings;
    args.device.clone().apply(settings);
    settings.check()?;
    if settings.device == DeviceChoice::Cpu {
        return Err(Error::Config(
            "the CPU reference has nothing to tune; leave out --device cpu".to_string(),
        )
        .into());
    }
    let choice = DeviceArgs {
        device: None,
        adapter: settings.adapter.clone(),
    };
    let gpu = Gpu::open(&choice.choice())?;
    // The last batch of a test set that is smaller than a batch has a shape of its own, and its defaults.
    let most = gpu.target.max_binding_bytes;
    let [training, evaluation] = [planned.graphs(true, most)?, planned.graphs(false, most)?];
    let graphs: Vec<Graph> = training
        .into_iter()
        .chain(evaluation)
        .map(|(_, graph)| graph)
        .collect();
    let made_for = MadeFor::adapter(&gpu.info);
    let mut choices = cache.load(&made_for).unwrap_or_else(|e| {
        note(format_args!("{e}; it will be overwritten"));
        Default::default()
    });
    let operations = operations(&graphs, &gpu.target)?;
    if !args.json {
        print_line(format_args!(
            "{} with batches of {} on {} ({})",
            planned.settings.model.name, planned.settings.batch, made_for.adapter, made_for.driver
        ))?;
    }
    let mut saved_ms = 0.0;
    for operation in &operations {
        let verdict = tune(&gpu, operation, SEED)?;
        saved_ms += verdict.saved_ms() * operation.uses as f64;
        match verdict.chosen.filter(|_| verdict.departs()) {
            Some(variant) => choices.set(operation.key(), variant),
            None => choices.remove(&operation.key()),
        }
        tell(operation, &verdict, args.json)?;
    }
    cache.save(&made_for, choices)?;
    let path = cache.path(&made_for);
    if args.json {
        print_line(json!({
            "event": "done",
            "operations": operations.len(),
            "saved_ms": saved_ms,
            "adapter": made_for.adapter,
            "file": path.display().to_string(),
        }))?;
    } else {
        print_line(format_args!(
            "{} operations tried; the choices save {saved_ms:.3} ms per training and evaluation step together; saved in {}",
            operations.len(),
            path.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn operands(operation: &Operation) -> String {
    let types: Vec<String> = operation.inputs.iter().map(|ty| ty.to_string()).collect();
    types.join(" ")
}

/// The rows of one operation.
fn tell(operation: &Operation, verdict: &Verdict, json: bool) -> anyhow::Result<()> {
    let default = verdict.trials[0].ms;
    let gain = default
        .zip(verdict.chosen_ms())
        .map(|(default, chosen)| default / chosen);
    if json {
        let trials: Vec<_> = verdict
            .trials
            .iter()
            .map(|t| json!({"variant": t.variant, "ms": t.ms, "rejected": t.rejected}))
            .collect();
        return print_line(json!({
            "op": operation.kind(),
            "operands": operands(operation),
            "key": operation.key(),
            "uses": operation.uses,
            "variants": trials,
            "default": verdict.trials[0].variant,
            "chosen": verdict.chosen,
            "gain": gain,
        }));
    }
    print_line(format_args!("{} {}", operation.kind(), operands(operation)))?;
    for trial in &verdict.trials {
        let outcome = match (&trial.rejected, trial.ms) {
            (Some(reason), _) => reason.clone(),
            (None, ms) => {
                let mark = match Some(trial.variant) == verdict.chosen {
                    true if verdict.departs() => {
                        format!("  chosen: {:.2} times as fast", gain.unwrap_or(f64::NAN))
                    }
                    true => "  default stays".to_string(),
                    false => String::new(),
                };
                format!("{:>10.4} ms{mark}", ms.unwrap_or(f64::NAN))
            }
        };
        print_line(format_args!("  {:<20} {outcome}", trial.variant))?;
    }
    if verdict.chosen.is_none() {
        print_line("  no variant agrees with the reference; run wgrad check")?;
    }
    Ok(())
}

fn show(cache: &Cache, json: bool) -> anyhow::Result<ExitCode> {
    let here: Vec<MadeFor> = adapters()?
        .iter()
        .map(|adapter| MadeFor::adapter(&adapter.info))
        .collect();
    let files = cache.files()?;
    if files.is_empty() && !json {
        print_line("nothing tuned yet; run wgrad tune")?;
    }
    for path in files {
        match Tuning::read(&path) {
            Ok(tuning) => show_one(&path, &tuning, here.contains(&tuning.made_for), json)?,
            Err(e) => note(format_args!(
                "{e}; it is ignored: run wgrad tune again, or wgrad tune --clear"
            )),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_one(path: &Path, tuning: &Tuning, current: bool, json: bool) -> anyhow::Result<()> {
    let made_for = &tuning.made_for;
    if json {
        return print_line(json!({
            "file": path.display().to_string(),
            "current": current,
            "made_for": made_for,
            "variants": tuning.variants,
        }));
    }
    let state = if current {
        ""
    } else {
        "; ignored: made with another driver, version of wgrad or adapter"
    };
    print_line(format_args!(
        "{} ({}, {}){state}\n  in {}",
        made_for.adapter,
        made_for.backend,
        made_for.driver,
        path.display()
    ))?;
    if tuning.variants.is_empty() {
        print_line("  every operation uses its default")?;
    }
    for (key, variant) in tuning.variants.iter() {
        print_line(format_args!("  {variant:<20} {key}"))?;
    }
    Ok(())
}
