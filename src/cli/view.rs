//! The live view of a training run in a terminal: text for a given width.

use super::progress::short;
use wgrad::run::{Figure, StepReport};

/// The narrowest view.
const NARROWEST: usize = 32;
/// Columns of the longest bar.
const LONGEST_BAR: usize = 40;

/// The lines of the view in `width` columns: a bar for the epoch and one for the run, the figures, and the kernels that take
/// most of the time.
pub(super) fn lines(report: &StepReport, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let of_epoch = report.step as f64 / report.steps.max(1) as f64;
    let epoch = format!("epoch {}/{}", report.epoch, report.epochs);
    let run = format!("{:<1$}", "run", epoch.len());
    let steps = format!("{}/{}", report.step, report.steps);
    let left = format!("{} left", short(report.time_left));
    let suffixes = [steps, left];
    let longest = suffixes.iter().map(String::len).max().unwrap_or(0);
    let room = width
        .saturating_sub(epoch.len() + longest + 5)
        .min(LONGEST_BAR);
    let mut lines = vec![
        with_bar(&epoch, of_epoch, room, &suffixes[0]),
        with_bar(&run, report.done, room, &suffixes[1]),
    ];
    let mut items = vec![format!("loss {:.4}", report.loss)];
    items.extend(report.score.as_ref().map(Figure::show));
    items.push(format!("{:.0} samples/s", report.samples_per_second));
    items.push(format!("lr {}", rate(report.learning_rate)));
    if report.device_bytes > 0 {
        items.push(format!(
            "memory {} MiB",
            report.device_bytes.div_ceil(1 << 20)
        ));
    }
    lines.extend(flowed(&items, width));
    let kernels = report.kernels.as_ref().map(|shares| shares.show(width));
    lines.extend(kernels.filter(|kernels| !kernels.is_empty()));
    lines
}

/// A learning rate with three significant digits: `0.001`, `3.16e-5`.
fn rate(lr: f64) -> String {
    let text = format!("{lr:.2e}");
    match text.parse::<f64>() {
        Ok(rounded) if rounded == 0.0 || rounded >= 1e-4 => format!("{rounded}"),
        _ => text,
    }
}

/// A label, a bar of `room` columns for a share, and a suffix.
fn with_bar(label: &str, share: f64, room: usize, suffix: &str) -> String {
    let filled = (share.clamp(0.0, 1.0) * room as f64) as usize;
    let tip = if filled < room { ">" } else { "" };
    let empty = room.saturating_sub(filled + tip.len());
    match room {
        0 => format!("{label}  {suffix}"),
        _ => format!(
            "{label} [{}{tip}{}]  {suffix}",
            "=".repeat(filled),
            " ".repeat(empty)
        ),
    }
}

/// The items in as few lines of at most `width` columns as they take, in their order.
fn flowed(items: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + item.chars().count() <= width => {
                line.push_str("  ");
                line.push_str(item);
            }
            _ => lines.push(item.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;
    use wgrad::run::KernelShares;

    fn report() -> StepReport {
        let kernels = [
            ("conv2d/weight_grad_tiled", 3.0),
            ("conv2d/forward_tiled", 1.0),
        ];
        let kernels = kernels.map(|(kernel, time)| (kernel.to_string(), time));
        StepReport {
            epoch: 2,
            epochs: 30,
            step: 100,
            steps: 400,
            loss: 0.12345,
            score: None,
            samples_per_second: 2400.4,
            time_left: Duration::from_secs(80),
            done: 0.5,
            learning_rate: 0.001,
            device_bytes: 35 << 20,
            kernels: Some(Arc::new(KernelShares::of(&kernels))),
        }
    }

    #[test]
    fn eighty_columns_hold_bars_figures_and_kernels() {
        let lines = lines(&report(), 80);
        assert_eq!(
            lines,
            [
                "epoch 2/30 [==========>                             ]  100/400",
                "run        [====================>                   ]  1 min 20 s left",
                "loss 0.1235  2400 samples/s  lr 0.001  memory 35 MiB",
                "conv2d/weight_grad_tiled 75%, conv2d/forward_tiled 25%",
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [32, 40, 41, 79, 80, 200] {
            let lines = lines(&report(), width);
            let widest = lines.iter().map(String::len).max().unwrap();
            assert!(widest <= width, "{width}: {lines:#?}");
        }
        assert_eq!(
            lines(&report(), 40)[2..],
            [
                "loss 0.1235  2400 samples/s  lr 0.001",
                "memory 35 MiB",
                "conv2d/weight_grad_tiled 75%"
            ]
        );
    }

    #[test]
    fn learning_rates_are_short() {
        assert_eq!(rate(0.001), "0.001");
        assert_eq!(rate(0.000_031_622_8), "3.16e-5");
        assert_eq!(rate(0.1), "0.1");
        assert_eq!(rate(0.0), "0");
    }
}
