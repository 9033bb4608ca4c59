//! `wgrad eval`

use super::{DeviceArgs, RunArg, note, print_line};
use serde_json::json;
use std::process::ExitCode;
use wgrad::data::Part;
use wgrad::nn::Network;
use wgrad::train::{RunFolder, Session, open_engine};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Another data set, whose test part to take
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// The part of the data to measure on [default: what the run says, else test]
    #[arg(long, value_enum)]
    part: Option<Part>,
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
        settings.data.format = None;
        settings.data.unsplit = true;
    }
    settings.data.evaluate = args.part.unwrap_or(settings.data.evaluate);
    args.device.apply(&mut settings);
    settings.check()?;
    let network = Network::new(settings.model.clone())?;
    let dataset = settings.load_data()?;
    let (engine, told) = open_engine(&settings)?;
    told.iter().chain(&dataset.notes).for_each(note);
    let noun = dataset.test.noun();
    let mut session = Session::evaluation(&engine, settings, network, dataset.test)?;
    let test = session.evaluate()?;
    let name = test.measure.name();
    if args.json {
        let mut line = json!({"test_loss": test.loss, "count": test.count});
        line[format!("test_{name}")] = test.score.into();
        print_line(line)?;
    } else {
        print_line(format_args!(
            "test loss {:.4}, test {name} {} of {} {noun} of {} ({})",
            test.loss,
            test.measure.show(test.score),
            test.count,
            dataset.name,
            engine.name()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
