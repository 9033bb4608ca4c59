//! From settings to a run: data, task and models are combined, checked and put on an engine, afresh or from a checkpoint.

use super::changes::{self, Change};
use super::continual::Earlier;
use super::provenance::Beginning;
use super::{Initialisation, Settings};
use crate::data::{self, Dataset, Listing, Samples};
use crate::device::Engine;
use crate::error::{Error, Result};
use crate::nn::{DataSizes, InputSpec, Network};
use crate::provenance::{PartContents, digest_of_values};
use crate::run::{CheckedRun, Checkpoint, Length, Run, RunFolder};
use crate::tasks::{learn_groups, learn_pixel_weights};
use std::path::Path;

/// A checked run that is ready to be put on an engine.
pub struct Prepared {
    /// The settings, with everything resolved.
    pub settings: Settings,
    /// The run.
    pub run: CheckedRun,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// How the weights of `init` were used.
    pub initialisation: Option<Initialisation>,
    /// The content of the parts of the data.
    contents: PartContents,
    /// The runs that it goes on from, the first one first.
    chain: Vec<Earlier>,
    resumed: Option<Resumed>,
}

/// The run that is resumed.
pub(super) struct Resumed {
    pub folder: RunFolder,
    /// The latest checkpoint; `None` if the run ended before its first one and begins again.
    pub checkpoint: Option<Checkpoint>,
    /// The length that the run was to have before it was resumed, if that is known.
    pub earlier: Option<Length>,
    /// Settings that changed since then, as `epochs: 3 -> 5`.
    pub changed: Vec<String>,
}

impl Settings {
    /// Loads the data and prepares task and models for them.
    ///
    /// # Errors
    /// If a setting is invalid, data can't be read, or data, models and task do not fit together.
    pub fn prepare(self) -> Result<Prepared> {
        self.check()?;
        if let Some(runs) = self.ensemble {
            return Err(Error::Config(format!(
                "ensemble is {runs}, the number of runs of an ensemble; train them with --ensemble {runs} and leave the key out"
            )));
        }
        if let Some(path) = &self.out {
            RunFolder::check_free(path)?;
        }
        self.prepared(None)
    }

    /// As [`Settings::prepare`], but what `own` leaves open is chosen by the kind and size of the data
    /// ([`choose`](Settings::choose)).
    ///
    /// # Errors
    /// As both.
    pub fn prepare_chosen(self, own: &dyn Fn(&mut Settings) -> Result<()>) -> Result<Prepared> {
        let mut given = self.clone();
        own(&mut given)?;
        if let Some(path) = &given.out {
            RunFolder::check_free(path)?;
        }
        let chosen = self.choose(own)?;
        chosen.settings.check()?;
        let mut prepared = chosen.settings.prepared_with(chosen.dataset, None)?;
        prepared.notes.splice(0..0, chosen.notes);
        Ok(prepared)
    }

    /// Resumes the run in the folder `path`. `epochs`, `steps`, `patience`, `monitor`, `min_delta`, `checkpoint_every`,
    /// `keep_checkpoints`, `tensorboard`, `device`, `adapter`, `data.evaluate` and `data.memory_limit` may have changed since the run
    /// was started or last resumed, by an edit of its `run.toml` or by `change`;
    /// [`Prepared::notes`] lists the changes.
    ///
    /// # Errors
    /// If it is not a run, another run is writing in the folder, another setting changed, or as [`Settings::prepare`].
    pub fn prepare_resumed(path: &Path, change: impl FnOnce(&mut Settings)) -> Result<Prepared> {
        let (folder, mut settings) = Settings::open_run(path)?;
        let folder = folder.lock()?;
        change(&mut settings);
        settings.check()?;
        let mut checkpoint = folder.latest_checkpoint()?;
        let mut notes = Vec::new();
        if checkpoint.is_none() {
            notes.push(format!(
                "{} ended before its first checkpoint: the run begins again",
                path.display()
            ));
        }
        let (mut earlier, mut changed) = (None, Vec::new());
        match folder.accepted_settings_path() {
            Some(accepted) => {
                let accepted = Settings::read(&accepted)?;
                earlier = Some(accepted.length());
                let file = folder.settings_path();
                let found = changes::permit(&accepted, &settings, changes::OF_A_RUN, &file)?;
                changed = found.iter().map(Change::to_string).collect();
                notes.extend(changed.clone());
                let judged = |change: &Change| ["monitor", "data.evaluate"].contains(&&*change.key);
                if let Some(checkpoint) = checkpoint.as_mut().filter(|_| found.iter().any(judged)) {
                    // Values of another metric or on another part can't be compared.
                    checkpoint.progress.best = None;
                    checkpoint.progress.epochs_without_improvement = 0;
                    notes
                        .push("the best epoch is selected from the coming epochs only".to_string());
                }
            }
            None => notes.push(format!(
                "{} has no settings.lock.toml to compare with; its run.toml is used as it is",
                path.display()
            )),
        }
        if folder.read_thresholds()?.is_some() {
            notes.push(
                "the thresholds of groups were fitted to the weights so far, and are removed when the run goes on; fit them again with \
                 `wgrad thresholds`"
                    .to_string(),
            );
        }
        if folder.read_temperature()?.is_some() {
            notes.push(
                "the temperature was fitted to the weights so far, and is removed when the run goes on; fit it again with \
                 `wgrad eval RUN --calibration --save`"
                    .to_string(),
            );
        }
        let resumed = Resumed {
            folder,
            checkpoint,
            earlier,
            changed,
        };
        let mut prepared = settings.prepared(Some(resumed))?;
        prepared.notes.splice(0..0, notes);
        Ok(prepared)
    }

    /// A run over data in memory, without a folder. Mean and standard deviation of images are those of `fitted` or, if it has
    /// none, of the training set.
    ///
    /// # Errors
    /// If data, models and task do not fit together, or device memory is too small.
    pub fn start<'e>(
        mut self,
        engine: &'e Engine,
        dataset: impl Into<Dataset<Samples>>,
    ) -> Result<Run<'e>> {
        let dataset = dataset.into();
        if self.continual.is_some() {
            return Err(Error::Config(
                "[continual] is for runs that load their data themselves; use Settings::prepare"
                    .to_string(),
            ));
        }
        self.take_from(&dataset)?;
        let mut parts = self.resolve(&dataset.train)?;
        let initialisation = self.initialise(&parts.models)?;
        parts.values = initialisation.map(|found| found.values);
        Run::new(engine, parts.check(dataset)?)
    }

    /// Loads the data set and resolves the settings that depend on it: the size of images, the model's input, mean, standard
    /// deviation, class names, balanced class weights.
    ///
    /// # Errors
    /// If the data can't be read or do not fit the settings.
    pub fn load_data(&mut self) -> Result<Dataset<Samples>> {
        if self.fitted.is_empty() {
            self.take_over()?;
        }
        let specs = || std::iter::once(&self.model).chain(self.models.values());
        let image = specs().find_map(|model| model.all_inputs().find_map(InputSpec::image));
        if let Some([height, width, channels]) = image {
            self.data.size.get_or_insert([height, width]);
            self.data.channels.get_or_insert(channels);
        }
        if let Some(preprocess) = &self.model.preprocess {
            self.data
                .mean
                .get_or_insert_with(|| preprocess.mean.clone());
            self.data.std.get_or_insert_with(|| preprocess.std.clone());
        }
        if let Some(input) = self.model.all_inputs().find_map(InputSpec::tokens) {
            let context = *self.data.context.get_or_insert(input.tokens);
            if context != input.tokens && !input.auto {
                return Err(Error::Config(format!(
                    "model {} takes {} tokens but data.context is {context}; make them the same, or leave data.context out",
                    self.model.name, input.tokens
                )));
            }
        }
        // A task with wrong settings is refused where it is resolved.
        let task = self.task.name.as_ref().and_then(|_| self.named_task().ok());
        if let Some(task) = task {
            self.data.mask_token |= task.masks_tokens();
            self.data.unlabelled |= task.labelled_of(self.batch).is_some();
        }
        let seed = self.data.seed.map_or(self.seed, u64::from);
        let dataset = data::load(&self.data, &mut self.fitted, seed)?;
        // Paths that are saved must be valid from any other folder, too.
        self.data.make_absolute();
        self.fit_to(&dataset);
        Ok(dataset)
    }

    /// Resolves the settings that depend on a data set in memory.
    ///
    /// # Errors
    /// If the settings do not fit it.
    fn take_from(&mut self, dataset: &Dataset<Samples>) -> Result<()> {
        self.fitted.take(&self.data, dataset)?;
        self.fit_to(dataset);
        Ok(())
    }

    /// Resolves what models and loss take from the data: `auto` inputs, units that name a size, balanced class weights.
    pub(super) fn fit_to(&mut self, dataset: &Dataset<Samples>) {
        self.resolve_inputs(&dataset.train);
        let sizes = sizes_of(dataset);
        for model in std::iter::once(&mut self.model).chain(self.models.values_mut()) {
            model.take_sizes(sizes);
        }
        self.loss.learn(&dataset.train, dataset.classes.len());
        learn_pixel_weights(&mut self.task.own, &dataset.train, dataset.classes.len());
        let name = self.task.name.as_deref();
        learn_groups(
            name,
            &mut self.task.own,
            &dataset.train,
            dataset.classes.len(),
        );
    }

    /// Resolves `auto` inputs of the models from `samples`: the first field for a single input, the fields of their names for
    /// named inputs.
    fn resolve_inputs(&mut self, samples: &Samples) {
        let vocabulary = samples.vocabulary();
        // All tokens but those of a running text.
        let padded = samples.field(data::field::NEXT).is_none();
        let resolved = |spec: &InputSpec, shape: &[usize], tokens: bool| {
            spec.resolved(shape, vocabulary.filter(|_| tokens), padded)
        };
        let first = samples.fields().first();
        for model in std::iter::once(&mut self.model).chain(self.models.values_mut()) {
            if model.inputs.is_empty()
                && let Some(field) = first
            {
                let tokens = data::field::holds_tokens(field.name);
                model.input = resolved(&model.input, &field.shape(), tokens);
            }
            for (name, spec) in &mut model.inputs {
                if let Some(field) = samples.field(name) {
                    let tokens = data::field::holds_tokens(field.name);
                    *spec = resolved(spec, &field.shape(), tokens);
                }
            }
        }
    }

    pub(super) fn prepared(mut self, resumed: Option<Resumed>) -> Result<Prepared> {
        // A model with a fixed input is checked before the data are read, which can take long.
        let auto = self.model.all_inputs().any(InputSpec::is_auto);
        if !auto && !self.model.layers.is_empty() {
            Network::new(self.model.clone().with_some_sizes())?;
        }
        let dataset = self.load_data()?;
        self.prepared_with(dataset, resumed)
    }

    /// A run over the data of these settings, which have been loaded as `dataset`.
    pub(super) fn prepared_with(
        mut self,
        mut dataset: Dataset<Samples>,
        resumed: Option<Resumed>,
    ) -> Result<Prepared> {
        if !self.stages().is_empty() {
            return Err(Error::Config(
                "[[continual.stage]] names several runs, which `wgrad train` of the file trains one after another; leave the stages out to \
                 train one run"
                    .to_string(),
            ));
        }
        let digests = dataset.digests(self.data.evaluate);
        let contents = dataset.contents(self.data.evaluate);
        let source = &self.data.source;
        match &resumed {
            Some(run) => {
                let same = data::compare_digests(source, &self.fitted.digests, &digests);
                let files = run.folder.recorded_files();
                same.map_err(|error| data::with_changed_files(error, source, files.as_ref()))?;
            }
            None => self.fitted.files = Some(Listing::of(source)?),
        }
        self.fitted.digests.extend(digests);
        let mut parts = self.resolve(&dataset.train)?;
        let chain = self.earlier_runs()?;
        self.check_goes_on(&chain)?;
        parts.recipe.replay = self.replayed(&chain, &mut dataset.train)?;
        let mut run = parts.check(dataset)?;
        if let (Some(own), Some(private)) = (&mut self.privacy, run.privacy()) {
            // A run that is made longer later adds the same noise.
            own.noise = Some(private.noise);
        }
        let mut notes = run.dataset().notes.clone();
        notes.extend(run.remarks());
        notes.extend(self.notes_of_chain(&chain));
        if let Some(Resumed {
            checkpoint: Some(checkpoint),
            earlier: Some(earlier),
            ..
        }) = &resumed
        {
            notes.extend(run.changed_schedule(earlier, checkpoint.progress.step));
        }
        let mut initialisation = None;
        // The checkpoint replaces the initial weights.
        if resumed.as_ref().is_none_or(|run| run.checkpoint.is_none()) {
            let models = &run.parts().models;
            initialisation = match chain.last() {
                Some(earlier) => Some(self.weights_after(earlier, models)?),
                None => self.initialise(models)?,
            };
            if let Some(found) = &initialisation {
                run.set_values(found.values.clone());
            }
        }
        Ok(Prepared {
            settings: self,
            run,
            notes,
            initialisation,
            contents,
            chain,
            resumed,
        })
    }
}

/// The sizes of the data that the units of a layer can name.
fn sizes_of(dataset: &Dataset<Samples>) -> DataSizes {
    let extents = |name: &str| dataset.train.field(name).map(data::Field::shape);
    let classes = Some(dataset.classes.len()).filter(|&classes| classes > 0);
    let target = extents(data::field::TARGET).or_else(|| extents(data::field::VALUE));
    let numbers = target.as_ref().map(|target| target.iter().product());
    let row = extents(data::field::ROW).or_else(|| extents(data::field::WINDOW));
    DataSizes {
        classes,
        targets: classes.or(numbers),
        columns: row.and_then(|row| row.last().copied()),
        horizon: target.and_then(|target| target.first().copied()),
    }
}

impl Prepared {
    /// The folder of the run, if it is resumed.
    pub(super) fn folder(&self) -> Option<&RunFolder> {
        Some(&self.resumed.as_ref()?.folder)
    }

    /// Opens the engine that the settings ask for, with the recorded kernel variants if the run is resumed. The second value
    /// holds notes for the user.
    ///
    /// # Errors
    /// If an adapter was asked for and there is none.
    pub fn open_engine(&self) -> Result<(Engine, Vec<String>)> {
        let recorded = self
            .resumed
            .as_ref()
            .map(|resumed| resumed.folder.recorded_variants());
        let (engine, note) = Engine::open(
            self.settings.device,
            self.settings.adapter.as_deref(),
            recorded.transpose()?.flatten(),
        )?;
        let mut notes: Vec<String> = note.into_iter().collect();
        let checkpoint = self.resumed.as_ref();
        let checkpoint = checkpoint.and_then(|resumed| resumed.checkpoint.as_ref());
        let before = checkpoint.map_or("", |checkpoint| &checkpoint.progress.device);
        if !["", &engine.name()].contains(&before) {
            notes.push(format!(
                "the run was trained on {before} and is resumed on {}, which may round sums differently: the result is not reproduced bit for bit",
                engine.name()
            ));
        }
        Ok((engine, notes))
    }

    /// Puts the resumed run on `engine` to replay steps. Its folder is left as it is.
    ///
    /// # Errors
    /// As [`Prepared::start`].
    pub(super) fn replay(mut self, engine: &Engine) -> Result<Run<'_>> {
        self.hold(engine)?;
        let mut run = Run::new(engine, self.run)?;
        if let Some(checkpoint) = self.resumed.and_then(|resumed| resumed.checkpoint) {
            run.restore(checkpoint)?;
        }
        Ok(run)
    }

    /// Puts the run on `engine` and creates its folder, or resumes from its checkpoint.
    ///
    /// # Errors
    /// If it does not fit the device, the checkpoint is of another run, or the folder or its ledger can't be written.
    pub fn start(mut self, engine: &Engine) -> Result<(Run<'_>, RunFolder)> {
        let signer = self.settings.signer()?;
        self.hold(engine)?;
        let mut beginning = Beginning {
            data: Some(self.contents),
            ..Beginning::default()
        };
        if let Some(values) = &self.run.parts().values {
            beginning.values = Some(digest_of_values(values));
        }
        let anchor = self.run.parts().recipe.anchor.clone();
        let mut run = Run::new(engine, self.run)?;
        let mut folder = match self.resumed {
            Some(Resumed {
                folder,
                checkpoint,
                changed,
                ..
            }) => {
                let epoch = checkpoint.as_ref().map_or(0, |c| c.progress.epoch);
                beginning.changed = changed;
                if let Some(checkpoint) = checkpoint {
                    beginning.step = checkpoint.progress.step;
                    beginning.values = Some(checkpoint.content());
                    run.restore(checkpoint)?;
                }
                folder.forget_after(epoch)?;
                if !run.is_done() {
                    folder.remove_thresholds()?;
                    folder.remove_temperature()?;
                    folder.write_settings(&self.settings.texts()?)?;
                }
                folder
            }
            None => self.settings.create_folder()?,
        };
        if let Some(anchor) = anchor.filter(|_| !folder.has_anchor()) {
            folder.write_anchor(&anchor.terms)?;
        }
        if !run.is_done() || folder.ledger_path().is_some() {
            folder.open_ledger(signer)?;
        }
        if !run.is_done() {
            let step = run.trainer().step_digest();
            self.settings
                .record_beginning(&folder, engine, step, beginning)?;
        }
        Ok((run, folder))
    }

    /// Holds the weights at those of earlier runs, if the run goes on by elastic weight consolidation.
    fn hold(&mut self, engine: &Engine) -> Result<()> {
        let (folder, models) = (self.folder(), &self.run.parts().models);
        let anchor = self.settings.anchor(folder, &self.chain, models, engine)?;
        anchor
            .into_iter()
            .for_each(|anchor| self.run.set_anchor(anchor));
        Ok(())
    }
}
