//! bench
use super::DeviceArgs;
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    device: DeviceArgs,
}
pub(super) fn run(_a: Args) -> anyhow::Result<std::process::ExitCode> {
    anyhow::bail!("soon")
}
