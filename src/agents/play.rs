//! A trained policy in fresh episodes: that of an agent's run, or a classifier of rows, which imitates recorded episodes.

use super::actions::{best, drawn};
use super::batch_types;
use super::interaction::SCORES;
use super::run::check_models;
use crate::cpu::Tensor;
use crate::data::{Column, ColumnKind, Fitted, field};
use crate::device::{Device, Engine};
use crate::environments::{Episode, RegisteredEnvironment, Vectorised};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::run::RunParts;
use crate::tensor::TensorType;
use crate::train::FedPrediction;

/// How an action is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The best one.
    Best,
    /// By the probabilities of the policy.
    Drawn,
}

/// Which episodes are played, and how.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    /// Number of episodes.
    pub episodes: usize,
    /// Seed from which their starts and drawn actions follow.
    pub seed: u64,
    /// How an action is chosen.
    pub choice: Choice,
}

/// A step of an episode.
#[derive(Clone, Copy)]
pub struct PlayedStep<'a> {
    /// Number of the episode, from 0.
    pub episode: usize,
    /// What the agent saw.
    pub seen: &'a [f32],
    /// What it did.
    pub action: usize,
    /// The environments after it, of which the one at `place` is that of the episode. If the episode has ended, the next one has begun.
    pub environments: &'a Vectorised,
    /// See `environments`.
    pub place: usize,
    /// The episode, if it has ended.
    pub ended: Option<Episode>,
}

/// A trained policy on an engine.
pub struct Player<'e> {
    device: Box<dyn Device + 'e>,
    policy: FedPrediction,
    known: &'static RegisteredEnvironment,
    /// Environments that are stepped together.
    together: usize,
    encoding: Encoding,
}

/// How observations and actions of an environment become those of a model.
struct Encoding {
    /// The columns of a table that the model was trained on, each with the place of its number in an observation; none for an agent,
    /// which takes observations as they are.
    columns: Vec<(usize, Column)>,
    /// The action of each class of the model.
    actions: Vec<usize>,
}

impl Encoding {
    fn of(fitted: &Fitted, known: &RegisteredEnvironment) -> Result<Encoding> {
        let wrong = |what: String| Err(Error::Config(what));
        let mut columns = Vec::new();
        for column in &fitted.columns {
            let place = known
                .observation
                .iter()
                .position(|name| *name == column.name);
            let Some(place) = place else {
                return wrong(format!(
                    "the run was trained on a column {}, which {} does not have: it gives {}",
                    column.name,
                    known.name,
                    known.observation.join(", ")
                ));
            };
            if let ColumnKind::Date { .. } = column.kind {
                return wrong(format!(
                    "the run reads the column {} as dates, and {} gives numbers",
                    column.name, known.name
                ));
            }
            columns.push((place, column.clone()));
        }
        let action = |class: &String| {
            let named = known.actions.iter().position(|action| action == class);
            let number = class.parse().ok();
            named
                .or(number)
                .filter(|&action| action < known.actions.len())
        };
        let actions: Option<Vec<usize>> = fitted.classes.iter().map(action).collect();
        match actions.filter(|actions| !actions.is_empty()) {
            Some(actions) => Ok(Encoding { columns, actions }),
            None => wrong(format!(
                "the run predicts {}, which are not actions of {}: it has {}",
                match fitted.classes.is_empty() {
                    true => "no classes".to_string(),
                    false => fitted.classes.join(", "),
                },
                known.name,
                known.actions.join(", ")
            )),
        }
    }

    /// Numbers of a sample of the model, for observations of `columns` numbers.
    fn width(&self, columns: usize) -> usize {
        match self.columns.is_empty() {
            true => columns,
            false => self.columns.iter().map(|(_, column)| column.width()).sum(),
        }
    }

    /// An observation as the model takes it.
    fn row(&self, seen: &[f32]) -> Vec<f32> {
        if self.columns.is_empty() {
            return seen.to_vec();
        }
        let mut row = Vec::new();
        for (place, column) in &self.columns {
            let number = seen.get(*place).copied().unwrap_or_default();
            row.extend(column.values_of(number).unwrap_or_default());
        }
        row
    }
}

impl<'e> Player<'e> {
    /// Puts the models of `parts`, with their weights, on `engine`, for `together` environments at once.
    ///
    /// # Errors
    /// If the run is neither of an agent nor a classifier of rows with the environment's numbers, or device memory is too small.
    pub fn new(
        engine: &'e Engine,
        mut parts: RunParts,
        known: &'static RegisteredEnvironment,
        together: usize,
    ) -> Result<Player<'e>> {
        let name = parts.task.registered().name;
        let is_agent = super::tasks().any(|task| task == name);
        if !is_agent && (name != "classification" || parts.fitted.columns.is_empty()) {
            return Err(Error::Config(format!(
                "a run of the task {name} can't act in an environment; name a run of {} or a classification of recorded episodes",
                super::tasks().collect::<Vec<_>>().join(", ")
            )));
        }
        if is_agent {
            check_models(&parts, known)?;
        }
        let encoding = Encoding::of(&parts.fitted, known)?;
        let mut device = engine.device();
        let values = parts.initial();
        parts.models.put(&mut *device, &values)?;
        let width = encoding.width(known.observation.len());
        let fields = batch_types(vec![(field::ROW, TensorType::f32([width]))], together);
        let policy = FedPrediction::new(
            &mut *device,
            parts.task,
            &parts.models,
            together,
            fields,
            SCORES,
        )?;
        Ok(Player {
            device,
            policy,
            known,
            together,
            encoding,
        })
    }

    /// Plays episodes and calls `visit` after each step. Episode `k` is the same whatever the number of environments. Returns the
    /// episodes in order.
    ///
    /// # Errors
    /// If an environment or the device failed, or `visit` did.
    pub fn play(
        &mut self,
        play: Play,
        visit: &mut dyn FnMut(&PlayedStep<'_>) -> Result<()>,
    ) -> Result<Vec<Episode>> {
        let mut episodes = Vec::with_capacity(play.episodes);
        for first in (0..play.episodes).step_by(self.together) {
            let count = self.together.min(play.episodes - first);
            let ended = self.play_together(play, first, count, visit)?;
            episodes.extend(ended.into_iter().flatten());
        }
        Ok(episodes)
    }

    /// Plays the `count` episodes from `first` on, one in each environment.
    fn play_together(
        &mut self,
        play: Play,
        first: usize,
        count: usize,
        visit: &mut dyn FnMut(&PlayedStep<'_>) -> Result<()>,
    ) -> Result<Vec<Option<Episode>>> {
        let purpose = Purpose::EvaluationEpisodes;
        let mut environments =
            Vectorised::from_place(self.known, first, count, play.seed, purpose)?;
        let columns = self.known.observation.len();
        let width = self.encoding.width(columns);
        let mut ended: Vec<Option<Episode>> = vec![None; count];
        for step in 0.. {
            let seen = environments.observations().to_vec();
            let rows = seen
                .chunks_exact(columns)
                .flat_map(|seen| self.encoding.row(seen));
            let mut rows: Vec<f32> = rows.collect();
            rows.resize(self.together * width, 0.0);
            let rows = Tensor::real([self.together, width], rows);
            let scores = self
                .policy
                .run(&mut *self.device, &[(field::ROW, &rows)], count)?;
            if !scores.is_finite() {
                return Err(Error::Diverged(
                    "the policy gives numbers that are not finite; its weights are no use"
                        .to_string(),
                ));
            }
            let classes = self.encoding.actions.len();
            let choose = |(place, scores): (usize, &[f32])| {
                let class = match play.choice {
                    Choice::Best => best(scores),
                    Choice::Drawn => {
                        let stream = Purpose::EvaluationActions.stream((first + place) as u32);
                        let unit = Stream::at(play.seed, stream, step).unit();
                        drawn(scores, unit.into()).0
                    }
                };
                let goes_on = ended[place].is_none();
                goes_on.then(|| self.encoding.actions[class] as u32)
            };
            let scores = scores.reals()[..count * classes].chunks_exact(classes);
            let actions: Vec<Option<u32>> = scores.enumerate().map(choose).collect();
            let outcome = environments.step(&actions)?;
            for (place, action) in actions.iter().enumerate() {
                let Some(action) = action else { continue };
                let last = outcome
                    .episodes
                    .iter()
                    .find(|last| last.environment == place);
                ended[place] = last.copied();
                visit(&PlayedStep {
                    episode: first + place,
                    seen: &seen[place * columns..][..columns],
                    action: *action as usize,
                    environments: &environments,
                    place,
                    ended: last.copied(),
                })?;
            }
            if ended.iter().all(Option::is_some) {
                break;
            }
        }
        Ok(ended)
    }
}
