//! The runs that a run goes on from: what it takes over from the last of them, and whether the two fit together.

use super::super::{Initialisation, Settings};
use super::ContinualMethod;
use crate::data::{self, Dataset, Fitted, Part, Samples};
use crate::error::{Error, Result};
use crate::run::{RunFolder, RunParts};
use crate::tasks::Models;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A run that another one goes on from, directly or not.
pub(in crate::settings) struct Earlier {
    /// What its data are called.
    pub name: String,
    pub folder: RunFolder,
    pub settings: Settings,
}

impl Earlier {
    fn open(path: &Path) -> Result<Earlier> {
        let (folder, settings) = Settings::open_run(path)
            .map_err(|error| Error::Config(format!("continual.after: {error}")))?;
        Ok(Earlier {
            name: settings.task_name(&folder),
            folder,
            settings,
        })
    }

    /// Its folder, for messages.
    fn shown(&self) -> String {
        self.folder.path.display().to_string()
    }

    /// The error of data that can't be used any more.
    fn data_lost(&self, error: Error) -> Error {
        Error::Data(format!(
            "the data of {}, from which this run goes on, can't be used: {error}",
            self.shown()
        ))
    }

    /// Its data, as it was trained on them, with the test part as the one to evaluate on.
    ///
    /// # Errors
    /// If they can't be read any more, or have changed.
    pub fn load(&self) -> Result<Dataset<Samples>> {
        let mut settings = self.settings.clone();
        settings.data.evaluate = Part::Test;
        let mut load = || -> Result<Dataset<Samples>> {
            let recorded = settings.fitted.digests.clone();
            let dataset = settings.load_data()?;
            let now = dataset.digests(Part::Test);
            data::compare_digests(&settings.data.source, &recorded, &now)?;
            Ok(dataset)
        };
        load().map_err(|error| self.data_lost(error))
    }

    /// Its task and models, with the weights of its best epoch.
    ///
    /// # Errors
    /// If it has none yet.
    pub fn trained(&self) -> Result<RunParts> {
        let weights = self.folder.weights_path(false);
        match weights.is_file() {
            true => self.settings.resolve_trained(&weights),
            false => Err(Error::Config(format!(
                "continual.after: {} has no weights yet; train it first",
                self.shown()
            ))),
        }
    }
}

/// What the inputs of a model are prepared with, without what concerns the classes and the source.
fn preparation(fitted: &Fitted) -> Fitted {
    Fitted {
        mean: fitted.mean.clone(),
        std: fitted.std.clone(),
        columns: fitted.columns.clone(),
        tokenizer: fitted.tokenizer.clone(),
        scale: fitted.scale,
        targets: fitted.targets.clone(),
        scales: fitted.scales.clone(),
        ..Fitted::default()
    }
}

impl Settings {
    /// What the data of this run in `folder` are called.
    pub(super) fn task_name(&self, folder: &RunFolder) -> String {
        let own = self.continual.as_ref().and_then(|own| own.name.clone());
        let path = folder.path.canonicalize();
        let path: PathBuf = path.unwrap_or_else(|_| folder.path.clone());
        let name = path.file_name().map(|name| name.to_string_lossy());
        own.unwrap_or_else(|| name.unwrap_or_default().into_owned())
    }

    /// The runs that this one goes on from, the first one first.
    ///
    /// # Errors
    /// If one is none, or goes on from itself.
    pub(in crate::settings) fn earlier_runs(&self) -> Result<Vec<Earlier>> {
        let mut chain: Vec<Earlier> = Vec::new();
        let mut after = self.after().map(Path::to_owned);
        while let Some(path) = after {
            let earlier = Earlier::open(&path)?;
            if chain.iter().any(|known| known.folder.path == path) {
                return Err(Error::Config(format!(
                    "continual.after: {} goes on from itself; change continual.after in its run.toml",
                    path.display()
                )));
            }
            after = earlier.settings.after().map(Path::to_owned);
            chain.push(earlier);
        }
        chain.reverse();
        Ok(chain)
    }

    /// Takes over how the run that this one goes on from prepared its data, and its classes, before any data are read.
    ///
    /// # Errors
    /// If it is no run.
    pub(in crate::settings) fn take_over(&mut self) -> Result<()> {
        let Some(after) = self.after() else {
            return Ok(());
        };
        let opened = Earlier::open(after)?;
        if let (Some(own), Some(theirs)) = (&self.data.target, &opened.settings.fitted.target)
            && own != theirs
        {
            return Err(Error::Config(format!(
                "continual.after: {} predicts the column {theirs}, and this run {own}; go on with the same target",
                opened.shown()
            )));
        }
        let earlier = opened.settings;
        let own = std::mem::take(&mut self.fitted);
        self.fitted = Fitted {
            target: earlier.fitted.target.clone(),
            predict: earlier.fitted.predict,
            text: earlier.fitted.text.clone(),
            languages: earlier.fitted.languages.clone(),
            separator: earlier.fitted.separator,
            target_form: earlier.fitted.target_form.clone(),
            ..preparation(&earlier.fitted)
        };
        if own.tokenizer.is_some() || self.data.tokenizer.is_some() {
            // It is compared with the other one when the data have been read.
            self.fitted.tokenizer = own.tokenizer;
        }
        if self.data.known_classes.is_empty() {
            self.data.known_classes = earlier.fitted.classes;
        }
        Ok(())
    }

    /// Checks that this run, whose data have been read and whose task is known, fits the run that it goes on from, and that the data of
    /// all runs of the `chain` are still there.
    ///
    /// # Errors
    /// Says in what they differ.
    pub(in crate::settings) fn check_goes_on(&self, chain: &[Earlier]) -> Result<()> {
        let Some(last) = chain.last() else {
            return Ok(());
        };
        let (name, theirs) = (last.shown(), &last.settings);
        let wrong = |what: String| Err(Error::Config(what));
        if self.task.name != theirs.task.name {
            let task = |settings: &Settings| settings.task.name.clone().unwrap_or_default();
            return wrong(format!(
                "continual.after: {name} is a run of the task {}, and this one of {}; go on with the same task",
                task(theirs),
                task(self)
            ));
        }
        if !self.fitted.classes.starts_with(&theirs.fitted.classes) {
            return wrong(format!(
                "continual.after: {name} knows the classes {}, and this run others, {}; leave out data.known_classes, which begins with \
                 those of the earlier run",
                theirs.fitted.classes.join(", "),
                self.fitted.classes.join(", ")
            ));
        }
        if preparation(&self.fitted) != preparation(&theirs.fitted) {
            return wrong(format!(
                "continual.after: {name} prepared its data in another way: mean and deviation, columns or vocabulary differ; leave out \
                 data.mean, data.std and data.tokenizer, which are taken over from it, and name data with the same columns"
            ));
        }
        for earlier in chain {
            let data = &earlier.settings.data;
            if !data.is_built_in() && !Path::new(&data.source).exists() {
                return Err(earlier.data_lost(Error::Data(format!(
                    "{} is not there any more; restore it, since the results on it are part of this run",
                    data.source
                ))));
            }
        }
        Ok(())
    }

    /// Notes on how the run goes on from those of the `chain`.
    pub(in crate::settings) fn notes_of_chain(&self, chain: &[Earlier]) -> Option<String> {
        let own = self.continual.as_ref()?;
        let last = chain.last()?;
        let (name, count) = (last.shown(), chain.len());
        let runs = match count {
            1 => name.clone(),
            _ => format!("each of the {count} earlier runs up to {name}"),
        };
        Some(match own.method {
            ContinualMethod::FineTuning => format!("goes on from {name}"),
            ContinualMethod::Ewc => format!(
                "goes on from {name}: weights are held by their importance for {runs}, measured on up to {} samples",
                own.samples
            ),
            ContinualMethod::Replay => format!(
                "goes on from {name}: {} training samples of {runs} are replayed, {:.0} % of every batch",
                own.memory,
                100.0 * own.share
            ),
        })
    }

    /// The initial weights of `models`: those of the run `earlier`. Where there are more classes than before, the weights of the new ones
    /// are drawn by the seed.
    ///
    /// # Errors
    /// If the models are others.
    pub(in crate::settings) fn weights_after(
        &self,
        earlier: &Earlier,
        models: &Models,
    ) -> Result<Initialisation> {
        let wrong = |what: String| {
            Err(Error::Config(format!(
                "continual.after: {} has another model: {what}; use the same one",
                earlier.shown()
            )))
        };
        let theirs = earlier.trained()?;
        let values = theirs.values.unwrap_or_default();
        let names = theirs.models.state().map(|part| part.name.as_str());
        let mut theirs: BTreeMap<&str, _> = names.zip(&values).collect();
        let classes = [&earlier.settings, self].map(|settings| settings.fitted.classes.len());
        let (mut matched, mut missing, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (part, own) in models.state().zip(models.initial_state(self.seed)) {
            let Some(before) = theirs.remove(part.name.as_str()) else {
                return wrong(format!("it has no {}", part.name));
            };
            if before.ty() == own.ty() {
                matched.push(part.name.clone());
                values.push(before.clone());
                continue;
            }
            let mut extents = before.dims().iter().zip(own.dims());
            let grows = extents.any(|(&a, &b)| a != b && [a, b] == classes);
            let Some(grown) = before.within(&own).filter(|_| grows) else {
                return wrong(format!(
                    "its {} is a {}, this one's a {}",
                    part.name,
                    before.ty(),
                    own.ty()
                ));
            };
            let reason = format!(
                "the first {} classes are those of the earlier run",
                classes[0]
            );
            missing.push((part.name.clone(), reason));
            values.push(grown);
        }
        if let Some(name) = theirs.keys().next() {
            return wrong(format!("it has {name}, which this one lacks"));
        }
        let new = self.fitted.classes.get(classes[0]..).unwrap_or_default();
        let remarks = (!missing.is_empty()).then(|| {
            format!(
                "new classes, whose weights in {} tensors start with their usual initial values: {}",
                missing.len(),
                new.join(", ")
            )
        });
        Ok(Initialisation {
            values,
            matched,
            missing,
            unused: Vec::new(),
            frozen: self.recipe().frozen(models),
            remarks: remarks.into_iter().collect(),
        })
    }
}
