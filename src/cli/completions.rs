//! `wgrad completions` and `wgrad man`

use super::{Cli, print_line};
use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// Folder for the pages, for example ~/.local/share/man/man1
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints a script that completes commands and options.
pub(super) fn completions(args: CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wgrad", &mut script);
    let script = String::from_utf8(script).context("the script is not text")?;
    print_line(script.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for every command.
pub(super) fn man(args: ManArgs) -> anyhow::Result<ExitCode> {
    let shown = args.folder.display();
    std::fs::create_dir_all(&args.folder).with_context(|| format!("cannot create {shown}"))?;
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .with_context(|| format!("cannot write to {shown}"))?;
    print_line(format_args!(
        "pages in {shown}; read them with: man -l {shown}/wgrad.1"
    ))?;
    Ok(ExitCode::SUCCESS)
}
