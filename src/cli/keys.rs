//! `wgrad keys`

use super::print_line;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::provenance::LedgerSigner;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a new pair of keys for signatures by ed25519: the private one in FILE, which only its owner can read, and the public one in
    /// FILE.pub
    New {
        /// File of the private key, which must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print one JSON line and nothing else
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::New { file, json } = args.command;
    let (signer, public) = LedgerSigner::create(&file)?;
    let (file, public) = (file.display(), public.display());
    match json {
        true => print_line(json!({
            "private_key_file": file.to_string(),
            "public_key_file": public.to_string(),
            "public_key": signer.key().to_string(),
        }))?,
        false => print_line(format_args!(
            "wrote {file}, the private key, which must stay with its owner, and {public}, the public key {}",
            signer.key()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
