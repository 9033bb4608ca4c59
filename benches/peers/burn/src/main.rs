//! The workloads of `wgrad bench` in burn, with a JSON line for each.
//!
//!     peer-burn --backend wgpu|flex [--runs N] [WORKLOAD...]
//!
//! A WORKLOAD selects those whose names contain it. Times are in milliseconds and include a wait for the device at the end of
//! every run. A run repeats its work for about 20 ms.

mod args;
mod bench;
mod contractions;
mod kernels;
mod models;
mod sequence;
mod training;

use args::Args;
use bench::Bench;
use burn::prelude::Device;
use std::process::ExitCode;
use std::time::Instant;

fn device(backend: &str) -> Result<Device, String> {
    match backend {
        "wgpu" => match Device::wgpu_options().init_with_setup() {
            Ok((device, setup)) => {
                eprintln!("burn's adapter: {}", setup.adapter.get_info().name);
                Ok(device)
            }
            Err(e) => Err(format!("burn opens no adapter: {e:?}")),
        },
        "flex" => Ok(Device::flex()),
        other => Err(format!("there is no backend {other}, only wgpu and flex")),
    }
}

fn main() -> ExitCode {
    let started = Instant::now();
    let ready = Args::from_command_line().and_then(|args| {
        let device = device(&args.backend)?;
        Ok(Bench::new(args, device, started))
    });
    let bench = match ready {
        Ok(bench) => bench,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    contractions::run(&bench);
    kernels::run(&bench);
    sequence::run(&bench);
    training::run(&bench);
    ExitCode::SUCCESS
}
