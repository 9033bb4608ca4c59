//! What `wgrad bench` prints.

use crate::cli::print_line;
use serde_json::json;
use std::io::{self, Write as _};
use wgrad::bench::{
    Baseline, BaselineChange, Ceilings, Clock, Cost, Decoding, Profile, Record, Roof, Timing,
    describe,
};
use wgrad::gpu::Gpu;
use wgrad::plan::{Plan, Step};

/// The adapter and its measured ceilings.
pub(super) fn ceilings(gpu: &Gpu, ceilings: &Ceilings, json: bool) -> anyhow::Result<()> {
    let (info, roof) = (&gpu.info, ceilings.roof());
    let backend = format!("{:?}", info.backend);
    if json {
        let bandwidths = ceilings.bandwidths.iter();
        return print_line(json!({
            "ceilings": {
                "gflops": roof.gflops,
                "gb_per_s": roof.gb_per_s,
                "bandwidths": bandwidths
                    .map(|b| json!({ "name": b.name, "gb_per_s": b.gb_per_s }))
                    .collect::<Vec<_>>(),
            },
            "adapter": info.name,
            "backend": backend,
            "driver": info.driver_info,
            "clock": "wall",
            "launch_clock": ceilings.clock.name(),
        }));
    }
    print_line(format!("{} ({backend}, {})", info.name, info.driver_info))?;
    let bandwidths = ceilings.bandwidths.iter();
    let bandwidths: Vec<String> = bandwidths
        .map(|b| format!("{} {:.1}", b.name, b.gb_per_s))
        .collect();
    print_line(format!(
        "ceilings: {:.1} GFLOP/s; GB/s: {}",
        roof.gflops,
        bandwidths.join(", ")
    ))?;
    print_line("times: wall clock, finished work")
}

/// The JSON line of a workload.
pub(super) fn record_json(record: &Record, change: Option<&BaselineChange>) -> anyhow::Result<()> {
    let mut line = serde_json::to_value(record)?;
    if let Some(change) = change {
        line["baseline"] = json!({
            "median_ms": change.old_ms,
            "speedup": change.speedup(),
            "beyond_spread": change.beyond_spread,
            "other_adapter": change.other_adapter,
        });
    }
    print_line(line)
}

/// The table's line of a workload, below the table's head if it is the first.
pub(super) fn record(record: &Record, first: bool) -> anyhow::Result<()> {
    if first {
        print_line(format!(
            "\n{:<44} {:>10} {:>10} {:>10} {:>4} {:>9} {:>7} {:>14} {:>8}",
            "workload",
            "median ms",
            "min ms",
            "max ms",
            "runs",
            "GFLOP/s",
            "GB/s",
            "ceiling",
            "reached"
        ))?;
    }
    // The ceiling in the unit of what bounds the work.
    let ceiling = match record.attainable_gflops {
        Some(gflops) => format!("{gflops:.1} GFLOP/s"),
        None => format!("{:.1} GB/s", record.bytes as f64 / record.ceiling_ms / 1e6),
    };
    print_line(format!(
        "{:<44} {:>10.4} {:>10.4} {:>10.4} {:>4} {:>9} {:>7.2} {ceiling:>14} {:>7.1}%",
        record.workload,
        record.median_ms,
        record.min_ms,
        record.max_ms,
        record.runs,
        rate(record.gflops),
        record.gb_per_s,
        record.percent_of_ceiling
    ))
}

fn rate(gflops: Option<f64>) -> String {
    gflops.map_or("-".to_string(), |rate| format!("{rate:.2}"))
}

/// How long the device and the threads that decode images waited for each other.
pub(super) fn decoding(found: &Decoding, json: bool) -> anyhow::Result<()> {
    if json {
        return print_line(serde_json::to_value(found)?);
    }
    print_line(format!(
        "\n{}: {:.0} images/s of {} JPEG files of {side} x {side}; the device waited for images in {:.1}% of the time, the {} decoding \
         threads for room in {:.1}%",
        found.workload,
        found.samples_per_s,
        found.pictures,
        100.0 * found.device_waited,
        found.threads,
        100.0 * found.decoders_waited,
        side = found.side
    ))
}

/// How the workloads have changed since the baseline.
pub(super) fn changes(baseline: &Baseline, records: &[Record]) -> anyhow::Result<()> {
    print_line(format!(
        "\n{:<44} {:>10} {:>10} {:>8}  change",
        "against the baseline", "then ms", "now ms", "then/now"
    ))?;
    let mut another = false;
    for record in records {
        print_line(match baseline.change(record) {
            None => format!("{:<44} not in the baseline", record.workload),
            Some(change) => {
                another |= change.other_adapter;
                format!(
                    "{:<44} {:>10.4} {:>10.4} {:>8.3}  {}",
                    record.workload,
                    change.old_ms,
                    change.new_ms,
                    change.speedup(),
                    change.verdict()
                )
            }
        })?;
    }
    if another {
        print_line("the baseline was measured on another adapter")?;
    }
    Ok(())
}

/// The table of a workload's steps. Shares are of the steps' sum.
pub(super) fn launches(
    gpu: &Gpu,
    name: &str,
    plan: &Plan,
    profile: &Profile,
    roof: Roof,
    json: bool,
) -> anyhow::Result<()> {
    let ms: Vec<f64> = profile.steps.iter().map(Timing::median_ms).collect();
    let sum: f64 = ms.iter().sum();
    let mut out = io::stdout().lock();
    if !json {
        let clock = match profile.clock {
            Clock::Timestamps => "the adapter's timestamps, each launch in a pass of its own",
            Clock::Wall => "wall clock, each launch alone and repeated",
        };
        writeln!(out, "\n{name}, launch by launch ({clock})")?;
        writeln!(
            out,
            "{:>4} {:>10} {:>6} {:>9} {:>7} {:>8}  {:<34} of",
            "step", "ms", "share", "GFLOP/s", "GB/s", "reached", "kernel"
        )?;
    }
    for (index, (step, &ms)) in plan.steps.iter().zip(&ms).enumerate() {
        let cost = Cost::of_step(plan, step);
        let (label, kernel) = describe(plan, step);
        let share = ms / sum;
        let (gflops, gb_per_s) = (cost.gflops(ms), cost.gb_per_s(ms));
        // The ceilings apply to kernels, not to copy commands.
        let reached = matches!(step, Step::Launch(_)).then(|| roof.percent(cost, ms));
        if json {
            let line = json!({
                "workload": name,
                "adapter": gpu.info.name,
                "step": index,
                "label": label,
                "kernel": kernel,
                "clock": profile.clock.name(),
                "median_ms": ms,
                "share": share,
                "flops": cost.flops,
                "bytes": cost.bytes,
                "gflops": gflops,
                "gb_per_s": gb_per_s,
                "percent_of_ceiling": reached,
            });
            writeln!(out, "{line}")?;
        } else {
            let percent = 100.0 * share;
            let gflops = rate(gflops);
            let reached = reached.map_or("-".to_string(), |reached| format!("{reached:.1}%"));
            writeln!(
                out,
                "{index:>4} {ms:>10.4} {percent:>5.1}% {gflops:>9} {gb_per_s:>7.2} {reached:>8}  {kernel:<34} {label}"
            )?;
        }
    }
    if !json {
        let views = plan.steps.iter().zip(&ms);
        let views = views.filter(|(step, _)| matches!(step, Step::Texture(_)));
        let copies: f64 = views.map(|(_, ms)| ms).sum();
        let whole = profile.whole.median_ms();
        writeln!(
            out,
            "a step takes {whole:.4} ms; its launches and copies add up to {sum:.4} ms, {copies:.4} ms of it texture copies"
        )?;
    }
    Ok(())
}
