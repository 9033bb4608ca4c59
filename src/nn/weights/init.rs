//! Initialisation from the weights of another model, as far as they fit.

use super::file::{Reason, WeightFile};
use super::{SHOWN, StateSpec, some_of};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;

/// Prefixes that names in a file may have: DataParallel writes `module.`, Lightning `model.`, and detectors put pretrained weights
/// under `backbone.`.
const PREFIXES: [&str; 3] = ["module.", "model.", "backbone."];

/// Initial values of a model from a file.
#[derive(Clone, Debug)]
pub struct Initialised {
    /// Values in the order of [`StateSpec::parameters`]; `None` for those that are not taken from the file.
    pub values: Vec<Option<Tensor<f32>>>,
    /// Names of the parameters taken from the file.
    pub matched: Vec<String>,
    /// Parameters not in the file, with reasons.
    pub missing: Vec<LeftOut>,
    /// Unused tensors of the file, by their names there, with reasons.
    pub unused: Vec<LeftOut>,
    /// Prefix of the names in the file, if any.
    pub prefix: Option<&'static str>,
}

/// A tensor that was not used, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Name of the parameter, or of the tensor in the file.
    pub name: String,
    /// Reason.
    pub reason: Reason,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.reason)
    }
}

impl Initialised {
    /// Notes for the user, one sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(prefix) = self.prefix {
            remarks.push(format!(
                "the prefix \"{prefix}\" of the names in the weights file is removed"
            ));
        }
        if !self.missing.is_empty() {
            remarks.push(format!(
                "{} of {} tensors are not taken from the file and start with their usual initial values: {}",
                self.missing.len(),
                self.matched.len() + self.missing.len(),
                some_of(self.missing.iter().map(LeftOut::to_string), SHOWN)
            ));
        }
        if !self.unused.is_empty() {
            remarks.push(format!(
                "{} tensors of the file are not used: {}",
                self.unused.len(),
                some_of(self.unused.iter().map(LeftOut::to_string), SHOWN)
            ));
        }
        remarks
    }
}

/// Reads the tensors of the file at `path` that fit a model's state by name and shape. If no name fits, the prefixes `module.`,
/// `model.` and `backbone.` are removed. Counters of steps are ignored.
///
/// # Errors
/// If the file can't be read, no tensor fits, or a value is not finite. With `strict`, if any tensor is missing or unused.
pub fn init<'m>(path: &Path, state: impl Into<StateSpec<'m>>, strict: bool) -> Result<Initialised> {
    let state = state.into();
    if !path.exists() {
        return Err(Error::missing(path, "a file of weights"));
    }
    let file = WeightFile::read(path)?;
    let prefix = prefix(&state, &file);
    let in_file = |name: &str| format!("{}{name}", prefix.unwrap_or_default());

    let (mut values, mut matched, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let mut known: HashSet<String> = state.counters.iter().map(|name| in_file(name)).collect();
    let mut unused = Vec::new();
    for parameter in &state.parameters {
        if !parameter.in_files() {
            values.push(None);
            continue;
        }
        let names: Vec<String> = state.names(parameter).map(in_file).collect();
        let found = names.iter().find(|name| file.holds(name));
        let value = match found {
            Some(name) => file.read_tensor(name, parameter)?,
            None => Err(Reason::Absent),
        };
        for name in &names {
            if let Some(found) = found.filter(|found| file.differ(name, found)) {
                unused.push(LeftOut {
                    name: name.clone(),
                    reason: Reason::Tied(found.clone()),
                });
            }
        }
        known.extend(names);
        let (value, name) = (value, parameter.name.clone());
        match &value {
            Ok(_) => matched.push(name),
            Err(reason) => missing.push(LeftOut {
                name,
                reason: reason.clone(),
            }),
        }
        values.push(value.ok());
    }
    let others = file.names().filter(|name| !known.contains(*name));
    unused.extend(others.map(|name| LeftOut {
        name: name.to_string(),
        reason: Reason::NotInModel,
    }));
    let initialised = Initialised {
        values,
        matched,
        missing,
        unused,
        prefix,
    };
    check(path, &initialised, strict)?;
    Ok(initialised)
}

/// The prefix under which most names of the model are in the file; `None` if one is there without a prefix.
fn prefix(state: &StateSpec<'_>, file: &WeightFile<'_>) -> Option<&'static str> {
    let found = |prefix: &str| {
        let parameters = state.parameters.iter().filter(|p| p.in_files());
        parameters
            .filter(|p| {
                state
                    .names(p)
                    .any(|name| file.holds(&format!("{prefix}{name}")))
            })
            .count()
    };
    if found("") > 0 {
        return None;
    }
    let counted = PREFIXES.map(|prefix| (found(prefix), prefix));
    let most = counted.into_iter().max_by_key(|(count, _)| *count);
    most.filter(|(count, _)| *count > 0)
        .map(|(_, prefix)| prefix)
}

fn check(path: &Path, initialised: &Initialised, strict: bool) -> Result<()> {
    let Initialised {
        matched,
        missing,
        unused,
        ..
    } = initialised;
    let names = |left_out: &[LeftOut]| some_of(left_out.iter().map(LeftOut::to_string), SHOWN);
    let from = path.display();
    if matched.is_empty() {
        // Only a difference in shape needs a reason: that all names differ is what the sentence says.
        let misfits = missing.iter().filter(|left| left.reason != Reason::Absent);
        let misfits: Vec<String> = misfits.map(LeftOut::to_string).collect();
        let model = missing.iter().map(|left| left.name.as_str());
        let file = unused.iter().map(|left| left.name.as_str());
        let names = match misfits.is_empty() {
            true => format!(
                "the model has {}, the file {}",
                some_of(model, 3),
                some_of(file, 3)
            ),
            false => some_of(misfits, 3),
        };
        return Err(Error::Config(format!(
            "{from} holds no tensor that fits the model by name and shape: {names}"
        )));
    }
    if strict && !(missing.is_empty() && unused.is_empty()) {
        return Err(Error::Config(format!(
            "{from} does not match the model, as strict requires; missing: {}; unused: {}",
            names(missing),
            names(unused)
        )));
    }
    Ok(())
}
