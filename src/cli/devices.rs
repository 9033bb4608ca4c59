//! `wgrad devices`

use super::print_line;
use serde_json::json;
use std::process::ExitCode;
use wgrad::gpu::{AdapterSummary, INSTALL_HINT, adapters};
use wgrad::plan::TextureReads;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Print one JSON line per adapter and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let adapters = adapters()?;
    if adapters.is_empty() && !args.json {
        print_line(format_args!("no GPU adapter was found; {INSTALL_HINT}"))?;
    }
    for (number, adapter) in adapters.iter().enumerate() {
        if args.json {
            print_line(line(number, adapter))?;
        } else {
            print_line(text(number, adapter).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(number: usize, a: &AdapterSummary) -> serde_json::Value {
    json!({
        "number": number,
        "name": a.info.name,
        "type": format!("{:?}", a.info.device_type),
        "backend": format!("{:?}", a.info.backend),
        "driver": a.info.driver,
        "driver_info": a.info.driver_info,
        "max_binding_bytes": a.target.max_binding_bytes,
        "max_buffer_bytes": a.target.max_buffer_bytes,
        "max_storage_buffers": a.target.max_storage_buffers,
        "max_workgroups": a.target.max_workgroups,
        "workgroup_memory_bytes": a.limits.max_compute_workgroup_storage_size,
        "max_invocations": a.limits.max_compute_invocations_per_workgroup,
        "subgroup_min": a.target.subgroup.map(|s| s.min),
        "subgroup_max": a.target.subgroup.map(|s| s.max),
        "features": a.features.iter_names().map(|(name, _)| name).collect::<Vec<_>>(),
        "texture_reads": a.target.texture_reads != TextureReads::Never,
    })
}

fn text(number: usize, a: &AdapterSummary) -> String {
    let mib = |bytes: u64| bytes >> 20;
    let subgroups = match a.target.subgroup {
        Some(s) if s.min == s.max => format!("subgroups of {}", s.min),
        Some(s) => format!("subgroups of {} to {}", s.min, s.max),
        None => "no subgroups".to_string(),
    };
    let textures = match a.target.texture_reads {
        TextureReads::Never => "",
        _ => ", operands through textures",
    };
    let features: Vec<_> = a
        .features
        .iter_names()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    format!(
        "{number}: {}\n   {:?} through {:?}, driver {} {}\n   {} MiB per binding, {} MiB per buffer, {} KiB of workgroup memory, {} invocations per workgroup\n   {subgroups}{textures}; features used: {}\n",
        a.info.name,
        a.info.device_type,
        a.info.backend,
        a.info.driver,
        a.info.driver_info,
        mib(a.target.max_binding_bytes),
        mib(a.target.max_buffer_bytes),
        a.limits.max_compute_workgroup_storage_size >> 10,
        a.limits.max_compute_invocations_per_workgroup,
        if features.is_empty() {
            "none".to_string()
        } else {
            features.join(", ")
        },
    )
}
