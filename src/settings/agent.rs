//! From settings to the run of an agent in an environment, new or resumed, and to its end.

use super::changes::{self, Change};
use super::provenance::Beginning;
use super::{Initialisation, Settings};
use crate::agents::{self, AgentEpoch, AgentObserver, AgentParts, AgentRun};
use crate::data::DataSettings;
use crate::device::Engine;
use crate::environments::{self, RegisteredEnvironment};
use crate::error::{Error, Result};
use crate::nn::{DataSizes, InputSpec};
use crate::optim::Schedule;
use crate::provenance::digest_of_values;
use crate::run::{Checkpoint, RunFolder};
use std::path::Path;

/// The run of an agent, ready to be put on an engine.
pub struct PreparedAgent {
    /// The settings, with everything resolved.
    pub settings: Settings,
    /// The run.
    pub parts: AgentParts,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// How the weights of `init` were used.
    pub initialisation: Option<Initialisation>,
    resumed: Option<(RunFolder, Option<Checkpoint>)>,
    /// Settings that changed since the run was started or last resumed, as `epochs: 3 -> 5`.
    changed: Vec<String>,
}

impl Settings {
    /// Whether an agent learns in an environment, instead of from data.
    pub fn is_agent(&self) -> bool {
        !self.environment.is_unset()
    }

    /// Checks that task and environment belong together, and that settings that an agent's run does not use were left alone.
    ///
    /// # Errors
    /// Names the setting.
    pub(super) fn check_agent(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        let task = self.task.name.as_deref().unwrap_or_default();
        let learns = agents::tasks().any(|known| known == task);
        let tasks = || agents::tasks().collect::<Vec<_>>().join(", ");
        if !self.is_agent() {
            return match learns {
                false => Ok(()),
                true => wrong(format!(
                    "the task {task} learns in an environment, and the settings name none; add environment = \"NAME\", with a name from \
                     `wgrad environments`"
                )),
            };
        }
        self.environment.registered()?;
        if !learns {
            let named = match task {
                "" => "the settings name no task".to_string(),
                task => format!("the task {task} learns from data"),
            };
            return wrong(format!(
                "{named}, but there is an environment; name one of {} as task, or leave environment out",
                tasks()
            ));
        }
        let unused = [
            ("steps", self.steps.is_some()),
            ("steps_per_epoch", self.steps_per_epoch.is_some()),
            ("accumulate", self.accumulate != 1),
            ("patience", self.patience.is_some()),
            ("monitor", self.monitor.is_some()),
            ("checkpoint_every", self.checkpoint_every.is_some()),
            ("tensorboard", self.tensorboard),
            ("average", self.average.is_some()),
            ("lora", self.lora.is_some()),
            ("privacy", self.privacy.is_some()),
            ("federated", self.federated.is_some()),
            (
                "schedule plateau",
                matches!(self.schedule, Schedule::Plateau(_)),
            ),
            ("model", !self.model.layers.is_empty()),
        ];
        match unused.iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some(("model", _)) => wrong(format!(
                "the task {task} has models with roles; give models.{} instead of model",
                self.named_task()?.roles().join(" and models.")
            )),
            Some((key, _)) => wrong(format!(
                "{key} can't be used where an agent learns in an environment, whose length is epochs times environment.epoch_steps; \
                 leave it out"
            )),
        }
    }

    /// Resolves what follows from the environment: models that are left out, their inputs and outputs, the names of the actions.
    ///
    /// # Errors
    /// If there is no such environment or model.
    pub(super) fn fit_to_environment(&mut self) -> Result<()> {
        let known = self.environment.registered()?;
        self.environment.name = known.name.to_string();
        self.data = DataSettings {
            source: String::new(),
            ..DataSettings::default()
        };
        self.fitted.classes = known.actions.iter().map(ToString::to_string).collect();
        let task = self.named_task()?;
        let mut first = None;
        for role in task.roles() {
            let given = self.models.get(*role).cloned();
            let mut spec = match (given, &first, *role) {
                (Some(given), ..) => given,
                // The network that follows another one is like it.
                (None, Some(first), "target") => Clone::clone(first),
                (None, ..) => task.default_model(role, &self.model)?,
            };
            let columns = known.observation.len();
            if spec.inputs.is_empty() && spec.input.is_auto() {
                spec.input = InputSpec::Shape(vec![columns]);
            }
            spec.take_sizes(DataSizes {
                classes: Some(known.actions.len()),
                targets: Some(known.actions.len()),
                columns: Some(columns),
                horizon: None,
            });
            first.get_or_insert_with(|| spec.clone());
            self.models.insert((*role).to_string(), spec);
        }
        Ok(())
    }

    fn agent_parts(&mut self) -> Result<(AgentParts, Option<Initialisation>)> {
        self.fit_to_environment()?;
        let task = self.named_task()?;
        let models = self.resolve_models(&*task)?;
        let initialisation = self.initialise(&models)?;
        let mut run = self.parts(task, models);
        run.values = initialisation.as_ref().map(|found| found.values.clone());
        let parts = AgentParts {
            run,
            task: self.task_settings(),
            environment: self.environment.clone(),
        };
        Ok((parts, initialisation))
    }

    /// Prepares the run of an agent.
    ///
    /// # Errors
    /// If a setting is invalid, or models and environment don't fit together.
    pub fn prepare_agent(mut self) -> Result<PreparedAgent> {
        self.check()?;
        if let Some(path) = &self.out {
            RunFolder::check_free(path)?;
        }
        let (parts, initialisation) = self.agent_parts()?;
        Ok(PreparedAgent {
            settings: self,
            parts,
            notes: Vec::new(),
            initialisation,
            resumed: None,
            changed: Vec::new(),
        })
    }

    /// Resumes the run of an agent in the folder `path`. `epochs`, `keep_checkpoints`, `device` and `adapter` may have changed, by an
    /// edit of its `run.toml` or by `change`.
    ///
    /// # Errors
    /// If it is not one, another run is writing in the folder, or another setting changed.
    pub fn prepare_resumed_agent(
        path: &Path,
        change: impl FnOnce(&mut Settings),
    ) -> Result<PreparedAgent> {
        let (folder, mut settings) = Settings::open_run(path)?;
        let folder = folder.lock()?;
        change(&mut settings);
        settings.check()?;
        let checkpoint = folder.latest_checkpoint()?;
        let (mut notes, mut changed) = (Vec::new(), Vec::new());
        if checkpoint.is_none() {
            notes.push(format!(
                "{} ended before its first checkpoint: the run begins again",
                path.display()
            ));
        }
        if let Some(accepted) = folder.accepted_settings_path() {
            let accepted = Settings::read(&accepted)?;
            let file = folder.settings_path();
            let found = changes::permit(&accepted, &settings, changes::OF_AN_AGENT, &file)?;
            changed = found.iter().map(Change::to_string).collect();
            notes.extend(changed.clone());
        }
        let (parts, _) = settings.agent_parts()?;
        Ok(PreparedAgent {
            settings,
            parts,
            notes,
            initialisation: None,
            resumed: Some((folder, checkpoint)),
            changed,
        })
    }

    /// The environment `name`, or that of the run if none is named.
    ///
    /// # Errors
    /// If there is none.
    pub fn environment_of(&self, name: Option<&str>) -> Result<&'static RegisteredEnvironment> {
        match name {
            Some(name) => environments::named(name),
            None if self.is_agent() => self.environment.registered(),
            None => Err(Error::Config(
                "the run learned from data and names no environment; name one with --environment, see `wgrad environments`"
                    .to_string(),
            )),
        }
    }
}

impl PreparedAgent {
    /// Opens the engine that the settings ask for, with the recorded kernel variants if the run is resumed. The second value holds
    /// notes for the user.
    ///
    /// # Errors
    /// If an adapter was asked for and there is none.
    pub fn open_engine(&self) -> Result<(Engine, Vec<String>)> {
        let folder = self.resumed.as_ref().map(|(folder, _)| folder);
        let recorded = folder.map(RunFolder::recorded_variants).transpose()?;
        let adapter = self.settings.adapter.as_deref();
        let (engine, note) = Engine::open(self.settings.device, adapter, recorded.flatten())?;
        Ok((engine, note.into_iter().collect()))
    }

    /// Lets the agent learn to the end of the run. `started` is called when the run is on the engine and has its folder, and
    /// `finished` at its end, with the last epoch of this process, if there was one.
    ///
    /// # Errors
    /// As [`AgentRun::new`] and [`AgentRun::fit`]. A new run that fails without a checkpoint leaves nothing behind.
    pub fn train(
        self,
        engine: &Engine,
        observer: &mut dyn AgentObserver,
        finished: &mut dyn FnMut(&AgentRun<'_>, &RunFolder, Option<&AgentEpoch>),
    ) -> Result<()> {
        let signer = self.settings.signer()?;
        let values = self.parts.run.values.as_deref().map(digest_of_values);
        let mut beginning = Beginning {
            values,
            changed: self.changed,
            ..Beginning::default()
        };
        let mut run = AgentRun::new(engine, self.parts)?;
        let mut folder = match self.resumed {
            Some((folder, checkpoint)) => {
                let epoch = checkpoint.as_ref().map_or(0, |c| c.progress.epoch);
                if let Some(checkpoint) = checkpoint {
                    beginning.step = checkpoint.progress.step;
                    beginning.values = Some(checkpoint.content());
                    run.restore(checkpoint)?;
                }
                folder.forget_after(epoch)?;
                if !run.is_done() {
                    folder.write_settings(&self.settings.texts()?)?;
                }
                folder
            }
            None => self.settings.create_folder()?,
        };
        if !run.is_done() {
            folder.open_ledger(signer)?;
            let step = run.trainer().step_digest();
            self.settings
                .record_beginning(&folder, engine, step, beginning)?;
        }
        match run.fit(observer, Some(&folder)) {
            Ok(last) => {
                finished(&run, &folder, last.as_ref());
                Ok(())
            }
            Err(error @ Error::Stopped(_)) => Err(error),
            Err(error) => {
                folder.discard();
                Err(folder.advise(error))
            }
        }
    }
}
