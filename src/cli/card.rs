//! `wgrad card`

use super::{OverwriteArg, print_line};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::files::write_whole;
use wgrad::settings::Settings;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The file to write [default: model-card.md in the folder of the run]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Print one JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (folder, settings) = Settings::open_run(&args.run)?;
    if settings.is_agent() {
        let message = format!(
            "{} is the run of an agent, of which there are no data for a model card; name a run that was trained on data",
            args.run.display()
        );
        return Err(wgrad::Error::Config(message).into());
    }
    let path = args
        .out
        .unwrap_or_else(|| folder.path.join("model-card.md"));
    // People fill the card in, so that one that exists is theirs.
    args.overwrite.check(&path)?;
    let card = settings.model_card(&folder)?;
    write_whole(&path, card.as_bytes())?;
    let path = path.display();
    match args.json {
        true => print_line(json!({"event": "card", "file": path.to_string()}))?,
        false => print_line(format_args!(
            "the model card is in {path}; what is \"to be filled in\" there is for people to say"
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
