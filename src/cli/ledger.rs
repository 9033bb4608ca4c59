//! `wgrad ledger`

use super::{SignArg, print_line};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::provenance::{Ledger, LedgerRecord, LedgerScan, RunRecord, Verification, verify_ledger};
use wgrad::run::RunFolder;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Add the root of a run that has ended to a ledger that several people share; `wgrad verify LEDGER` checks it
    Append {
        /// File of the ledger, which is begun if it does not exist
        #[arg(value_name = "LEDGER")]
        ledger: PathBuf,
        /// Folder of the run
        #[arg(value_name = "RUN")]
        run: PathBuf,
        #[command(flatten)]
        sign: SignArg,
        /// Print one JSON line and nothing else
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::Append {
        ledger,
        run,
        sign,
        json,
    } = args.command;
    let shared = Ledger::new(&ledger, sign.read()?);
    let record = run_record(&run)?;
    shared.append(&[LedgerRecord::Run(record.clone())])?;
    shared.sync()?;
    let links = LedgerScan::of(&ledger)?.links;
    match json {
        true => print_line(json!({
            "ledger": ledger.display().to_string(),
            "link": links,
            "run": record.name,
            "root": record.root,
        }))?,
        false => print_line(format_args!(
            "{} has link {links}: the run {} with the root {}",
            ledger.display(),
            record.name,
            record.root
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said of the run in the folder `path`, whose own ledger is whole.
fn run_record(path: &Path) -> wgrad::Result<RunRecord> {
    let folder = RunFolder::open(path)?;
    let own = folder.require_ledger()?;
    let broken = verify_ledger(&own, &Verification::default(), &mut |_| Ok(()))?.broken;
    let shown = path.display();
    if broken > 0 {
        return Err(wgrad::Error::Config(format!(
            "{broken} links of the ledger of {shown} are broken, so it is not added; `wgrad verify {shown}` names them"
        )));
    }
    let scan = LedgerScan::of(&own)?;
    let (Some(end), Some(weights)) = (scan.end, scan.weights) else {
        return Err(wgrad::Error::Config(format!(
            "{shown} has not ended, and has no root yet; finish it with: {}",
            folder.resume_command()
        )));
    };
    let whole = path
        .canonicalize()
        .map_err(wgrad::Error::io("read", path))?;
    let name = whole.file_name().unwrap_or_default();
    Ok(RunRecord {
        name: name.to_string_lossy().into_owned(),
        links: end.links,
        root: end.root,
        weights: weights.sha256,
    })
}
