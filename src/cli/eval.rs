//! `wgrad eval`

use super::{DeviceArgs, RunArg, note, print_line};
use serde_json::json;
use std::process::ExitCode;
use wgrad::nn::Network;
use wgrad::train::{RunFolder, Session, open_engine};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Another data set, for its test images: a folder with the four IDX files
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (folder, mut settings) = RunFolder::open(&args.run.run)?;
    settings.init = Some(folder.model_path());
    if let Some(data) = args.data {
        // Mean and standard deviation stay those that the network was trained with.
        settings.data.source = data;
    }
    args.device.apply(&mut settings);
    settings.check()?;
    let network = Network::new(settings.model.clone())?;
    let dataset = settings.load_data()?;
    let (engine, told) = open_engine(&settings, folder.recorded_variants()?)?;
    if let Some(told) = told {
        note(told);
    }
    let mut session = Session::evaluation(&engine, settings, network, dataset.test)?;
    let test = session.evaluate()?;
    if args.json {
        print_line(
            json!({"test_loss": test.loss, "test_accuracy": test.accuracy, "count": test.count}),
        )?;
    } else {
        print_line(format_args!(
            "test loss {:.4}, test accuracy {:.2}% of {} images of {} ({})",
            test.loss,
            100.0 * test.accuracy,
            test.count,
            dataset.name,
            engine.name()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
