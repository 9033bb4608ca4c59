//! Learning-rate schedules: the learning rate of every step of a run. One schedule is one file; to add one, write its file and add
//! a line to the list of [`Schedule`]. Steps count from 1.

use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use crate::schema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A learning-rate schedule.
trait Course {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of its range.
    fn validate(&self) -> Result<()>;

    /// Learning rate of step number `step`, from 1, of `total_steps`, for an optimizer whose own is `base`.
    fn lr(&self, base: f64, step: u64, total_steps: u64) -> f64;
}

macro_rules! schedules {
    ($($name:ident: $Variant:ident($Settings:ident)),* $(,)?) => {
        $(
            mod $name;
            pub use $name::$Settings;
        )*

        /// The `[schedule]` table of a run.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "snake_case")]
        pub enum Schedule {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                $Variant($Settings),
            )*
        }

        impl Schedule {
            /// Names of all schedules.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            fn course(&self) -> &dyn Course {
                match self {
                    $(Schedule::$Variant(settings) => settings,)*
                }
            }
        }

        impl JsonSchema for Schedule {
            fn schema_name() -> Cow<'static, str> {
                "schedule".into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                schema::one_of(vec![$(schema::kind::<$Settings>("name", stringify!($name), generator)),*])
            }
        }

        $(
            impl From<$Settings> for Schedule {
                fn from(settings: $Settings) -> Self {
                    Schedule::$Variant(settings)
                }
            }
        )*
    };
}

// Name in settings and of the file, which is the variant's name in snake case: variant (type of the settings).
schedules! {
    constant: Constant(ConstantLr),
    cosine: Cosine(CosineLr),
    cosine_restarts: CosineRestarts(CosineRestartsLr),
    exponential: Exponential(ExponentialLr),
    inverse_sqrt: InverseSqrt(InverseSqrtLr),
    linear: Linear(LinearLr),
    one_cycle: OneCycle(OneCycleLr),
    plateau: Plateau(PlateauLr),
    step: Step(StepLr),
}

pub use plateau::PlateauState;

impl Default for Schedule {
    fn default() -> Self {
        Schedule::Constant(ConstantLr {})
    }
}

impl Schedule {
    /// The schedule called `name`, with the defaults of its settings.
    ///
    /// # Errors
    /// If there is none, or it has a setting without a default.
    pub fn named(name: &str) -> Result<Self> {
        if !Self::NAMES.contains(&name) {
            return Err(Error::Config(format!(
                "there is no schedule \"{name}\"; there are {}{}",
                super::listed(Self::NAMES),
                did_you_mean(name, Self::NAMES.iter().copied())
            )));
        }
        let table = toml::Table::from_iter([("name".to_string(), name.into())]);
        table.try_into().map_err(|e: toml::de::Error| {
            let message = e.message();
            Error::Config(format!(
                "the schedule \"{name}\" needs a table with its settings: {message}"
            ))
        })
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that is out of its range.
    pub fn validate(&self) -> Result<()> {
        self.course().validate()
    }

    /// Learning rate of step number `step`, from 1, of `total_steps`, for an optimizer whose own is `base`. A [`Schedule::Plateau`]
    /// does not depend on the step: its rate is that of [`PlateauLr::lr_after`], and here the one before any observation.
    pub fn lr(&self, base: f64, step: u64, total_steps: u64) -> f64 {
        self.course().lr(base, step, total_steps)
    }

    /// Steps of the warm-up, if the schedule has one that is counted in steps.
    pub fn warmup_steps(&self) -> Option<u64> {
        match self {
            Schedule::Cosine(cosine) => Some(cosine.warmup_steps),
            Schedule::InverseSqrt(schedule) => Some(schedule.warmup_steps),
            _ => None,
        }
    }

    /// The settings of a [`Schedule::Plateau`], which follows a metric.
    pub fn plateau(&self) -> Option<&PlateauLr> {
        match self {
            Schedule::Plateau(settings) => Some(settings),
            _ => None,
        }
    }
}

/// Checks one setting of `[schedule]`.
fn require(holds: bool, name: &str, range: &str, value: f64) -> Result<()> {
    super::require_in("[schedule]", holds, name, range, value)
}

/// Checks a count of `[schedule]`.
fn require_some(name: &str, count: u64) -> Result<()> {
    require(count > 0, name, "at least 1", count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_is_read_by_its_name() {
        let settings = [
            ("exponential", "gamma = 0.9"),
            ("cosine_restarts", "period = 10"),
            ("step", "every_steps = 10"),
        ];
        for &name in Schedule::NAMES {
            let needed = settings.iter().find(|(n, _)| *n == name);
            let needed = needed.map_or("", |(_, settings)| settings);
            let text = format!("name = \"{name}\"\n{needed}\n");
            let schedule: Schedule = toml::from_str(&text).unwrap();
            schedule.validate().unwrap();
            let written = toml::to_string(&schedule).unwrap();
            assert_eq!(toml::from_str::<Schedule>(&written).unwrap(), schedule);
            assert!(toml::from_str::<Schedule>(&format!("{text}warmth = 1")).is_err());
            match needed.split_once(' ') {
                None => assert_eq!(Schedule::named(name).unwrap(), schedule),
                Some((setting, _)) => {
                    let error = Schedule::named(name).unwrap_err().to_string();
                    assert!(error.contains(setting), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_schedule_that_there_is_not_is_refused_with_those_that_there_are() {
        let error = Schedule::named("cosinus").unwrap_err().to_string();
        assert!(
            Schedule::NAMES.iter().all(|name| error.contains(name)),
            "{error}"
        );
    }

    #[test]
    fn settings_out_of_range_are_named() {
        for (text, setting) in [
            ("name = 'cosine'\nfinal_share = 1.5", "final_share"),
            ("name = 'step'\nevery_steps = 0", "every_steps"),
            ("name = 'step'\nevery_steps = 1\nfactor = 0", "factor"),
            ("name = 'linear'\nstart_factor = 0", "start_factor"),
            ("name = 'linear'\nend_factor = 1.5", "end_factor"),
            ("name = 'linear'\nsteps = 0", "steps"),
            ("name = 'exponential'\ngamma = 0", "gamma"),
            (
                "name = 'exponential'\ngamma = 1\nevery_steps = 0",
                "every_steps",
            ),
            ("name = 'inverse_sqrt'\nwarmup_steps = 0", "warmup_steps"),
            ("name = 'one_cycle'\npct_start = 1.5", "pct_start"),
            ("name = 'one_cycle'\ndiv_factor = 0.5", "div_factor"),
            (
                "name = 'one_cycle'\nfinal_div_factor = 0",
                "final_div_factor",
            ),
            ("name = 'cosine_restarts'\nperiod = 0", "period"),
            (
                "name = 'cosine_restarts'\nperiod = 1\nmultiplier = 0",
                "multiplier",
            ),
            (
                "name = 'cosine_restarts'\nperiod = 1\nfinal_share = -1",
                "final_share",
            ),
            ("name = 'plateau'\nfactor = 1", "factor"),
            ("name = 'plateau'\nthreshold = -1", "threshold"),
            ("name = 'plateau'\nmin_lr = nan", "min_lr"),
            ("name = 'plateau'\nmetric = ''", "metric"),
        ] {
            let schedule: Schedule = toml::from_str(text).unwrap();
            let error = schedule.validate().unwrap_err().to_string();
            assert!(error.contains(&format!("[schedule] {setting}")), "{error}");
        }
    }
}
