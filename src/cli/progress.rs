//! Output of a training run: a live view on a terminal, plain lines elsewhere, JSON lines with `--json`.

use super::{interrupt, note, print_line, view};
use indicatif::style::TemplateError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::{Display, Write};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wgrad::Result;
use wgrad::gpu::Compilation;
use wgrad::run::{EpochReport, Figure, Observer, StepReport, epoch_line};

/// Reports the progress of a training run.
pub(super) struct ProgressPrinter {
    json: bool,
    bar: Option<ProgressBar>,
    last_line: Instant,
    last_shown: Option<Instant>,
    first_step: Option<Instant>,
}

impl ProgressPrinter {
    pub(super) fn new(json: bool) -> Self {
        // Terminals without cursor movement, and consoles within editors, get plain lines.
        let is_plain = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let bar = (!json && !is_plain && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            set_style(&bar, ProgressStyle::with_template("{msg}"));
            bar
        });
        ProgressPrinter {
            json,
            bar,
            last_line: Instant::now(),
            last_shown: None,
            first_step: None,
        }
    }

    /// When the first step was known to be finished.
    pub(super) fn first_step(&self) -> Option<Instant> {
        self.first_step
    }

    /// Prints a line; silent under `--json`.
    pub(super) fn say(&self, line: &str) {
        if self.json {
            return;
        }
        // A closed pipe does not stop the training.
        let print = || {
            let _ = print_line(line);
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Shows that the first step is being prepared, with the progress of compiling kernels.
    pub(super) fn prepare(&self, compilation: Option<Arc<Compilation>>) {
        let Some(bar) = &self.bar else { return };
        let style = ProgressStyle::with_template("preparing the first step{kernels}, {elapsed}");
        let style = style.map(|style| {
            style.with_key("kernels", move |_: &ProgressState, out: &mut dyn Write| {
                let counts = compilation.as_ref().map(|progress| progress.counts());
                if let Some((compiled, needed)) = counts.filter(|(_, needed)| *needed > 0) {
                    let _ = write!(out, ": {compiled} of {needed} kernels");
                }
            })
        });
        set_style(bar, style);
        bar.reset_elapsed();
        bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// A note beside the bar.
    pub(super) fn note(&self, text: impl Display) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for ProgressPrinter {
    fn stops(&self) -> bool {
        interrupt::asked()
    }

    fn step(&mut self, r: &StepReport) {
        const EVERY: Duration = Duration::from_secs(10);
        if self.first_step.is_none() {
            self.first_step = Some(Instant::now());
            if let Some(bar) = &self.bar {
                bar.disable_steady_tick();
                set_style(bar, ProgressStyle::with_template("{msg}"));
            }
        }
        let text = || {
            let score = r.score.as_ref().map(Figure::show);
            let score = score.map_or(String::new(), |score| format!("  {score}"));
            format!(
                "loss {:.4}{score}  {:.0} samples/s  {} left",
                r.loss,
                r.samples_per_second,
                short(r.time_left)
            )
        };
        if let Some(bar) = &self.bar {
            // Twice as often as the view is drawn.
            const SHOWN_EVERY: Duration = Duration::from_millis(50);
            if self
                .last_shown
                .is_none_or(|shown| shown.elapsed() >= SHOWN_EVERY)
            {
                self.last_shown = Some(Instant::now());
                let (_, columns) = console::Term::stderr().size();
                bar.set_message(view::lines(r, columns.into()).join("\n"));
            }
        } else if !self.json && self.last_line.elapsed() >= EVERY && r.step < r.steps {
            self.last_line = Instant::now();
            self.say(&format!(
                "epoch {}/{}  step {}/{}  {}",
                r.epoch,
                r.epochs,
                r.step,
                r.steps,
                text()
            ));
        }
    }

    fn epoch(&mut self, r: &EpochReport) -> Result<()> {
        self.last_line = Instant::now();
        if self.json {
            // As in `say`.
            let _ = print_line(epoch_line(r));
            return Ok(());
        }
        let part = r.test.part.name();
        let score = r.train_score.as_ref().map(Figure::show);
        let score = score.map_or(String::new(), |score| format!("  {score}"));
        let phases = r.phase_losses.iter();
        let phases: String = phases
            .map(|(name, loss)| format!("  {name} loss {loss:.4}"))
            .collect();
        let shown = r.test.figures.iter().filter(|f| f.metric.in_epoch_line);
        let figures: String = shown.map(|f| format!("  {part} {}", f.show())).collect();
        let waits = r.waits.map(|waits| waits.device);
        let waits = waits.map_or(String::new(), |waits| {
            format!("  {:.0}% of it waiting for images", 100.0 * waits)
        });
        let skipped = r.scaling.filter(|scaling| scaling.skipped > 0);
        let skipped = skipped.map_or(String::new(), |s| match s.skipped {
            1 => format!("  1 step skipped, loss scale now {}", s.scale),
            n => format!("  {n} steps skipped, loss scale now {}", s.scale),
        });
        let private = r.privacy.map_or(String::new(), |spent| {
            format!(
                "  epsilon {:.3}, {:.0}% clipped",
                spent.epsilon,
                100.0 * spent.clipped
            )
        });
        self.say(&format!(
            "epoch {}/{}  loss {:.4}{phases}{score}  {part} loss {:.4}{figures}  {:.0} samples/s  {}{waits}{skipped}{private}",
            r.epoch,
            r.epochs,
            r.train_loss,
            r.test.loss,
            r.samples_per_s,
            short(Duration::from_secs_f64(r.seconds))
        ));
        Ok(())
    }
}

/// Shows the progress of a training within a command that is about something else, without its figures.
pub(super) struct Unreported(pub ProgressPrinter);

impl Observer for Unreported {
    fn step(&mut self, report: &StepReport) {
        self.0.step(report);
    }

    fn epoch(&mut self, _: &EpochReport) -> Result<()> {
        Ok(())
    }

    fn stops(&self) -> bool {
        self.0.stops()
    }
}

fn set_style(bar: &ProgressBar, style: Result<ProgressStyle, TemplateError>) {
    if let Ok(style) = style {
        bar.set_style(style);
    }
}

/// A duration to read at a glance: `8.3 s`, `2 min 5 s`, `3 h 12 min`.
pub(super) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 3599.5 => format!(
            "{} min {} s",
            (s.round() as u64) / 60,
            (s.round() as u64) % 60
        ),
        s => format!("{} h {} min", s as u64 / 3600, s as u64 % 3600 / 60),
    }
}
