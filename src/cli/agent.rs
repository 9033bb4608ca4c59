//! What `wgrad train` and `wgrad eval` do where an agent learns in an environment.

use super::print_line;
use super::progress::{ProgressPrinter, short};
use serde_json::{Map, Value, json};
use std::time::Instant;
use wgrad::agents::{AgentEpoch, AgentObserver, AgentRun, Choice, Play, Player, RECENT_EPISODES};
use wgrad::device::Engine;
use wgrad::environments::Episode;
use wgrad::run::{EpochReport, Observer, RunFolder, RunParts, StepReport};
use wgrad::settings::{PreparedAgent, Settings};

/// The output of a run.
struct Session {
    json: bool,
    progress: ProgressPrinter,
}

impl Observer for Session {
    fn step(&mut self, report: &StepReport) {
        self.progress.step(report);
    }

    fn epoch(&mut self, report: &EpochReport) -> wgrad::Result<()> {
        self.progress.epoch(report)
    }

    fn stops(&self) -> bool {
        self.progress.stops()
    }
}

impl AgentObserver for Session {
    fn agent_epoch(&mut self, epoch: &AgentEpoch) -> wgrad::Result<()> {
        if self.json {
            // A closed pipe does not stop the training.
            let _ = print_line(Value::Object(epoch.to_json()));
        } else {
            self.progress.say(&epoch.show());
        }
        Ok(())
    }
}

/// Trains an agent, anew or resumed.
pub(super) fn train(json: bool, prepared: PreparedAgent, start: Instant) -> anyhow::Result<()> {
    let (engine, notes) = prepared.open_engine()?;
    let mut session = Session {
        json,
        progress: ProgressPrinter::new(json),
    };
    let known = prepared.settings.environment.registered()?;
    let notes = notes.iter().chain(&prepared.notes);
    notes.for_each(|text| session.progress.note(text));
    session.progress.say(&format!(
        "{} ({} weights) in {} environments {}, {}",
        prepared.settings.task.name.as_deref().unwrap_or_default(),
        prepared.parts.run.models.parameter_count(),
        prepared.settings.environment.count,
        known.name,
        engine.name()
    ));
    if let (Some(found), false) = (&prepared.initialisation, json) {
        let remarks = found.remarks.iter();
        remarks.for_each(|remark| session.progress.note(remark));
    }
    session.progress.prepare(engine.compilation());
    let mut printed = Ok(());
    let mut last_line = |run: &AgentRun<'_>, folder: &RunFolder, last: Option<&AgentEpoch>| {
        printed = done(json, run, &engine, folder, last, start);
    };
    let outcome = prepared.train(&engine, &mut session, &mut last_line);
    session.progress.finish();
    outcome?;
    printed
}

/// Prints the end of a run.
fn done(
    json: bool,
    run: &AgentRun<'_>,
    engine: &Engine,
    folder: &RunFolder,
    last: Option<&AgentEpoch>,
    start: Instant,
) -> anyhow::Result<()> {
    let path = folder.path.display();
    let best = run.progress().best.as_ref();
    let Some(last) = last else {
        return match json {
            true => print_line(json!({"event": "done", "run": path.to_string(), "epochs": 0})),
            false => print_line(format_args!(
                "nothing left to learn in {path}: all epochs are done; raise --epochs to continue"
            )),
        };
    };
    if json {
        return print_line(json!({
            "event": "done",
            "mean_return_last_100": last.recent_return,
            "mean_return": last.mean_return,
            "episodes": run.all_episodes(),
            "env_steps": last.env_steps,
            "env_steps_per_s": last.steps_per_second,
            "seconds": start.elapsed().as_secs_f64(),
            "run": path.to_string(),
            "adapter": engine.name(),
            "task": run.trainer().task().registered().name,
            "environment": run.environment().name,
            "best_epoch": best.map(|best| best.epoch),
            "best_mean_return_last_100": best.map(|best| best.value),
        }));
    }
    let number = |value: Option<f64>| value.map_or("unknown".to_string(), |x| format!("{x:.2}"));
    print_line(format_args!(
        "mean return of the last {RECENT_EPISODES} episodes {} after {} steps and {}; run in {path}",
        number(last.recent_return),
        last.env_steps,
        short(start.elapsed())
    ))?;
    match best.filter(|best| best.epoch < last.epoch) {
        Some(best) => print_line(format_args!(
            "`wgrad eval` and `wgrad play` use the weights of epoch {}, whose mean return was {:.2}",
            best.epoch, best.value
        )),
        None => Ok(()),
    }
}

/// Episodes that are played together in an evaluation.
const TOGETHER: usize = 32;

/// The episodes of an evaluation, as text and JSON.
pub(super) struct Evaluated {
    episodes: Vec<Episode>,
}

impl Evaluated {
    /// Plays `play` with the weights in `parts`, in the environment of the run.
    pub(super) fn of(
        engine: &Engine,
        settings: &Settings,
        parts: RunParts,
        play: Play,
    ) -> wgrad::Result<Evaluated> {
        let known = settings.environment_of(None)?;
        let mut player = Player::new(engine, parts, known, TOGETHER.min(play.episodes.max(1)))?;
        let episodes = player.play(play, &mut |_| Ok(()))?;
        Ok(Evaluated { episodes })
    }

    /// Mean of a number of each episode.
    fn mean(&self, number: impl Fn(&Episode) -> f64) -> f64 {
        let sum: f64 = self.episodes.iter().map(number).sum();
        sum / self.episodes.len().max(1) as f64
    }

    /// Mean return and its standard deviation.
    fn returns(&self) -> (f64, f64) {
        let mean = self.mean(|episode| episode.total);
        let square = self.mean(|episode| (episode.total - mean).powi(2));
        (mean, square.sqrt())
    }

    /// Keys for the JSON line.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let (mean, deviation) = self.returns();
        let returns = || self.episodes.iter().map(|episode| episode.total);
        Map::from_iter([
            ("mean_return".to_string(), mean.into()),
            ("std_return".to_string(), deviation.into()),
            ("min_return".to_string(), returns().reduce(f64::min).into()),
            ("max_return".to_string(), returns().reduce(f64::max).into()),
            (
                "mean_length".to_string(),
                self.mean(|episode| episode.length.into()).into(),
            ),
            ("episodes".to_string(), self.episodes.len().into()),
        ])
    }

    /// As text.
    pub(super) fn show(&self) -> String {
        let (mean, deviation) = self.returns();
        format!(
            "mean return {mean:.2} +- {deviation:.2}, mean length {:.1}, of {} episodes",
            self.mean(|episode| episode.length.into()),
            self.episodes.len()
        )
    }
}

/// How actions are chosen.
pub(super) fn choice(sample: bool) -> Choice {
    match sample {
        true => Choice::Drawn,
        false => Choice::Best,
    }
}
