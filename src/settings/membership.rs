//! Trained runs whose training data are to be recognised: the samples that attacks judge, and shadow runs that are trained as the run
//! was.

use super::Settings;
use crate::data::{Dataset, Part, compare_digests, overlap};
use crate::device::Engine;
use crate::error::{Error, Result};
use crate::membership::{
    LikelihoodRatios, MembershipPool, MembershipScores, ShadowScores, confidences,
};
use crate::run::{Observer, RunFolder};
use std::collections::BTreeMap;
use std::path::Path;

/// How members of the training data are looked for.
#[derive(Clone, Copy, Debug)]
pub struct MembershipOptions {
    /// Most members, and most others.
    pub samples: usize,
    /// Number of shadow runs, if there are to be any.
    pub shadows: Option<usize>,
    /// Whether the weights of the last epoch are attacked instead of those of the best one.
    pub last: bool,
}

/// A trained run that is attacked.
pub struct MembershipSubject {
    /// Its folder, as it was named.
    pub name: String,
    /// Members of its training data, and others.
    pub pool: MembershipPool,
    /// Notes for the user.
    pub notes: Vec<String>,
    folder: RunFolder,
    settings: Settings,
    last: bool,
    /// The names of the classes.
    classes: Vec<String>,
}

impl MembershipSubject {
    /// Opens the run in the folder `path` and chooses the samples to judge, by the seed of the run. `change` may change the settings
    /// `device` and `adapter`.
    ///
    /// # Errors
    /// If it is not the run of a classifier that learns from samples with classes, its data are gone or have changed, they are too few,
    /// or no shadow runs can be trained as the run was.
    pub fn open(
        path: &Path,
        options: MembershipOptions,
        change: impl FnOnce(&mut Settings),
    ) -> Result<MembershipSubject> {
        if let Some(shadows) = options.shadows {
            LikelihoodRatios::check_shadows(shadows)?;
        }
        let name = path.display().to_string();
        let (folder, mut settings) = Settings::open_run(path)?;
        change(&mut settings);
        settings.check()?;
        settings.check_membership(&name, options)?;
        settings.data.evaluate = Part::Test;
        let dataset = settings.load_data().map_err(|error| {
            let what = format!(
                "the data of {name}, among which its members are looked for, can't be read: {}",
                error.sentence()
            );
            match error.is_usage() {
                true => Error::Config(what),
                false => Error::Data(what),
            }
        })?;
        let digests = BTreeMap::from([(Part::Train.name().to_string(), dataset.train.digest())]);
        compare_digests(&settings.data.source, &settings.fitted.digests, &digests)?;
        let pool = MembershipPool::draw(
            &dataset.train,
            &dataset.test,
            options.samples,
            settings.seed,
        )?;
        let mut notes = dataset.notes.clone();
        let (count, noun) = (pool.count(), pool.members.noun());
        let known = overlap(&dataset.train, &pool.others);
        if dataset.train == dataset.test || known == Some(count) {
            return Err(Error::Data(format!(
                "the data of {name} have no {noun} apart from those that it was trained on, to compare members with; name a run with a \
                 test part of its own"
            )));
        }
        if let Some(known) = known.filter(|known| *known > 0) {
            notes.push(format!(
                "{known} of the {count} {noun} of the test part are also in the training part of {name}, which makes it look as if it \
                 revealed less"
            ));
        }
        if options.shadows.is_some() {
            if settings.batch > count {
                return Err(Error::Config(format!(
                    "shadow runs of {name} are trained on {count} {noun} each, fewer than its batch of {}; make --samples larger, or leave \
                     --shadows out",
                    settings.batch
                )));
            }
            if dataset.train.len() >= 2 * count {
                notes.push(format!(
                    "{name} was trained on {} {noun}, but its shadow runs are trained on {count} each and remember more of them; attack a \
                     run that was trained on about as many (--set data.labelled={count})",
                    dataset.train.len()
                ));
            }
        }
        Ok(MembershipSubject {
            name,
            pool,
            notes,
            folder,
            settings,
            last: options.last,
            classes: dataset.classes,
        })
    }

    /// The title of the run.
    pub fn title(&self) -> String {
        self.settings.title()
    }

    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// Opens the engine of the run; the second value is a note for the user.
    ///
    /// # Errors
    /// If there is none.
    pub fn open_engine(&self) -> Result<(Engine, Option<String>)> {
        let settings = &self.settings;
        Engine::open(
            settings.device,
            settings.adapter.as_deref(),
            self.folder.recorded_variants()?,
        )
    }

    /// How sure the run is of the class of each sample.
    ///
    /// # Errors
    /// If its weights can't be read, or the device failed.
    pub fn confidences(&self, engine: &Engine) -> Result<MembershipScores> {
        self.judged(engine, &self.folder.weights_path(self.last))
    }

    /// Trains the shadow run `number`, counted from 0, by the settings of the run, with another seed, on half of the samples, in a
    /// temporary folder, and judges all of them.
    ///
    /// # Errors
    /// If it can't be trained, or `observer` stopped it.
    pub fn shadow(
        &self,
        engine: &Engine,
        number: usize,
        observer: &mut dyn Observer,
    ) -> Result<ShadowScores> {
        let halves = self.pool.halves(number)?;
        let dataset = Dataset {
            name: self.settings.data.source.clone(),
            train: halves.train,
            validation: None,
            test: halves.rest,
            classes: self.classes.clone(),
            notes: Vec::new(),
            found: Vec::new(),
        };
        let failed = Error::io("create a temporary folder for", &self.folder.path);
        let temporary = tempfile::tempdir().map_err(failed)?;
        let mut settings = Settings {
            seed: self.settings.seed.wrapping_add(number as u64 + 1) & (u64::MAX >> 1),
            out: Some(temporary.path().join("run")),
            checkpoint_every: None,
            keep_checkpoints: 1,
            tensorboard: false,
            ..self.settings.clone()
        };
        settings.data.labelled = None;
        let folder = settings.create_folder()?;
        let trained = settings
            .start(engine, dataset)
            .and_then(|mut run| run.fit(observer, Some(&folder)));
        trained.map_err(|error| self.of_a_shadow(error))?;
        Ok(ShadowScores {
            confidences: self.judged(engine, &folder.weights_path(self.last))?,
            trained_on: halves.trained_on,
        })
    }

    /// How sure a run with these settings and the weights at `path` is of the class of each sample.
    fn judged(&self, engine: &Engine, path: &Path) -> Result<MembershipScores> {
        let of = |samples| confidences(engine, self.settings.resolve_trained(path)?, samples);
        Ok(MembershipScores {
            members: of(&self.pool.members)?,
            others: of(&self.pool.others)?,
        })
    }

    /// An error of a shadow run.
    fn of_a_shadow(&self, error: Error) -> Error {
        let (name, count) = (&self.name, self.pool.count());
        match error {
            Error::Stopped(_) => Error::Stopped(format!(
                "the shadow runs of {name} were stopped before their end; give the command again"
            )),
            Error::Config(why) => Error::Config(format!(
                "no shadow run of {name} can be trained on {count} of the samples: {why}"
            )),
            other => other,
        }
    }
}

impl Settings {
    /// Checks that members of the training data can be looked for by what the run called `name` predicts.
    fn check_membership(&self, name: &str, options: MembershipOptions) -> Result<()> {
        let wrong = |why: String| Err(Error::Config(format!("{name} {why}")));
        if self.is_agent() {
            return wrong(
                "is the run of an agent, which has no training data; name a run of classification"
                    .to_string(),
            );
        }
        let task = self.named_task()?;
        let own = task.registered().name;
        if !["classification", "text_classification"].contains(&task.judged_as()) {
            return wrong(format!(
                "is a run of the task {own}, and members of training data are looked for by the class that is predicted for each sample; \
                 name a run of classification"
            ));
        }
        if task.labelled_of(self.batch).is_some() {
            return wrong(format!(
                "is a run of the task {own}, which also learns from samples without classes; name a run of classification"
            ));
        }
        if options.shadows.is_some() && self.continual.is_some() {
            return wrong(
                "goes on from other runs, as its shadow runs can't; leave --shadows out"
                    .to_string(),
            );
        }
        Ok(())
    }
}
