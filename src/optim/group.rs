//! Parameter groups: parameters by name, with their own learning rate and weight decay, or frozen. PyTorch's
//! `param_groups` and `requires_grad_`; gradual unfreezing is Howard and Ruder 2018 (ULMFiT).

use super::require_in;
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A `[[group]]` table of a run. A parameter belongs to the first group with a matching pattern; others have the settings of
/// `[optimizer]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSettings {
    /// Names of parameters, in which `*` stands for any characters: `layer1.*`, `*.bias`. In a file, one name or a list.
    #[serde(rename = "match")]
    pub patterns: Patterns,
    /// Learning rate instead of the optimizer's; the schedule scales it by the same factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Factor for the optimizer's learning rate, instead of `lr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr_scale: Option<f64>,
    /// Weight decay instead of the optimizer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Whether the parameters keep their initial values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub freeze: bool,
    /// Epoch, from 1, in which training of the parameters begins; until then they and their state don't change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfreeze_epoch: Option<u32>,
}

/// Patterns of names, in which `*` stands for any characters, also none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "OneOrMany", into = "OneOrMany")]
pub struct Patterns(pub Vec<String>);

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a pattern of names or a list of them")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Patterns {
    fn from(patterns: OneOrMany) -> Self {
        match patterns {
            OneOrMany::One(pattern) => Patterns(vec![pattern]),
            OneOrMany::Many(patterns) => Patterns(patterns),
        }
    }
}

impl From<Patterns> for OneOrMany {
    fn from(Patterns(mut patterns): Patterns) -> Self {
        match (patterns.len(), patterns.pop()) {
            (1, Some(pattern)) => OneOrMany::One(pattern),
            (_, last) => OneOrMany::Many(patterns.into_iter().chain(last).collect()),
        }
    }
}

impl Patterns {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them matches `name`, and none of those that begin with `!` does.
    pub fn match_name(&self, name: &str) -> bool {
        let excluded =
            |pattern: &String| pattern.strip_prefix('!').is_some_and(|p| matches(p, name));
        let included = |pattern: &String| !pattern.starts_with('!') && matches(pattern, name);
        self.0.iter().any(included) && !self.0.iter().any(excluded)
    }

    /// Checks that each matches one of `parameters`. `owner` is the owner of the patterns, for the message.
    ///
    /// # Errors
    /// Names the first pattern that matches nothing, and the parameter whose name is nearest to it.
    pub(crate) fn check(&self, owner: &str, parameters: &[(String, TensorType)]) -> Result<()> {
        let matched = |pattern: &String| {
            let pattern = pattern.strip_prefix('!').unwrap_or(pattern);
            parameters.iter().any(|(name, _)| matches(pattern, name))
        };
        let Some(pattern) = self.0.iter().find(|&pattern| !matched(pattern)) else {
            return Ok(());
        };
        let names = parameters.iter().map(|(name, _)| name.as_str());
        let nearest = match nearest(pattern, names) {
            Some(name) => format!("the nearest is \"{name}\""),
            None => "there are none".to_string(),
        };
        Err(Error::Config(format!(
            "{owner}: the pattern \"{pattern}\" matches no parameter; {nearest}"
        )))
    }
}

/// Whether `pattern`, in which `*` stands for any characters, matches `name`.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(start) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        // The first match is always right: it leaves the most text for the parts that follow.
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    true
}

impl GroupSettings {
    /// Checks the settings, and that each pattern matches one of `parameters`; `number` is that of the group, from 1.
    ///
    /// # Errors
    /// Names the setting, or the first pattern that matches nothing.
    pub(crate) fn check(&self, number: usize, parameters: &[(String, TensorType)]) -> Result<()> {
        self.validate(number)?;
        self.patterns
            .check(&format!("[[group]] {number}"), parameters)
    }

    /// The same group with only the patterns that match one of `parameters`; `None` if none does.
    pub(crate) fn of(&self, parameters: &[(String, TensorType)]) -> GroupSettings {
        let matched = |pattern: &&String| {
            let pattern = pattern.strip_prefix('!').unwrap_or(pattern);
            parameters.iter().any(|(name, _)| matches(pattern, name))
        };
        let patterns = self.patterns.0.iter().filter(matched).cloned();
        GroupSettings {
            patterns: Patterns(patterns.collect()),
            ..self.clone()
        }
    }

    /// Checks the settings; `number` is that of the group, from 1.
    ///
    /// # Errors
    /// Names the setting that is out of range or conflicts with another.
    pub fn validate(&self, number: usize) -> Result<()> {
        let table = format!("[[group]] {number}:");
        let wrong = |message: &str| Err(Error::Config(format!("{table} {message}")));
        if self.patterns.is_empty() {
            return wrong("match must name at least one parameter");
        }
        if self.lr.is_some() && self.lr_scale.is_some() {
            return wrong("lr and lr_scale both set the learning rate; leave out one of them");
        }
        let rates = [self.lr, self.lr_scale, self.weight_decay];
        if self.freeze && (rates.iter().any(Option::is_some) || self.unfreeze_epoch.is_some()) {
            return wrong(
                "a group with freeze can't have other settings; leave out freeze or the others",
            );
        }
        if self.unfreeze_epoch == Some(0) {
            return wrong("unfreeze_epoch must be at least 1: epochs count from 1");
        }
        for (name, value) in ["lr", "lr_scale", "weight_decay"].iter().zip(rates) {
            if let Some(value) = value {
                require_in(&table, value >= 0.0, name, "at least 0", value)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [
            ("fc.weight", "fc.weight"),
            ("*", "fc.weight"),
            ("layer1.*", "layer1.0.conv1.weight"),
            ("*.bias", "layer1.0.conv1.bias"),
            ("layer*.bn*.weight", "layer1.0.bn2.weight"),
            ("a*a", "aba"),
            ("a**b", "ab"),
        ] {
            assert!(matches(pattern, name), "{pattern} is {name}");
        }
        for (pattern, name) in [
            ("fc", "fc.weight"),
            ("layer1.*", "layer10.weight"),
            ("*.bias", "bias"),
            ("*.bn*.weight", "layer1.0.bn2.bias"),
            ("a*a", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} is not {name}");
        }
    }

    #[test]
    fn a_group_survives_being_written_and_read() {
        for text in [
            "match = \"*.bias\"\nweight_decay = 0.0\n",
            "match = [\"layer1.*\", \"layer2.*\"]\nlr_scale = 0.1\nunfreeze_epoch = 3\n",
            "match = \"stem.*\"\nfreeze = true\n",
        ] {
            let group: GroupSettings = toml::from_str(text).unwrap();
            group.validate(1).unwrap();
            assert_eq!(toml::to_string(&group).unwrap(), text);
        }
        assert!(toml::from_str::<GroupSettings>("match = 1").is_err());
        assert!(toml::from_str::<GroupSettings>("lr = 1.0").is_err());
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let error = |text: &str| {
            let group: GroupSettings = toml::from_str(text).unwrap();
            group.validate(2).unwrap_err().to_string()
        };
        assert!(error("match = []").contains("[[group]] 2: match"));
        assert!(error("match = '*'\nlr = 0.1\nlr_scale = 0.1").contains("lr_scale"));
        assert!(error("match = '*'\nlr = -0.1").contains("[[group]] 2: lr must be at least 0"));
        assert!(error("match = '*'\nfreeze = true\nlr = 0.1").contains("freeze"));
        assert!(error("match = '*'\nunfreeze_epoch = 0").contains("unfreeze_epoch"));
    }
}
