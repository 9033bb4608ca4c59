//! Values that a run fits to its data, separate from the user's settings.

use super::{
    ChannelStats, ClassPattern, Column, DataSettings, Dataset, FittedTemperature, FormatName,
    GroupThresholds, Listing, MaskValue, NumberForm, Samples, Scale, TargetKind, TokenKind,
    Tokenizer,
};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Values that [`load`](super::load) fits to the training part when a run starts. A run saves them in the table `[fitted]` of its
/// `run.toml`; evaluation and prediction use them and fit nothing again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fitted {
    /// The format of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatName>,
    /// Images: subtracted from each channel of a pixel in [0, 1]; `data.mean`, or that of the training part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mean: Vec<f32>,
    /// Images: divides each channel after that; `data.std`, or that of the training part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub std: Vec<f32>,
    /// Names of the classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Tables: the cell value of each class in the target column, if it differs from the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_cells: Vec<String>,
    /// Masks: the pixel value of each class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mask_values: Vec<MaskValue>,
    /// Folders of images: where the names of files hold the class, if folders are no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_pattern: Option<ClassPattern>,
    /// Manifests: the column with the image files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Tables: the column to predict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Tables: whether that is a class or a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predict: Option<TargetKind>,
    /// Tables of texts: the column of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Texts with translations: the language of the texts, and that of the translations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// Texts: the tokenizer, which a run saves in a separate file.
    #[serde(skip)]
    pub tokenizer: Option<Tokenizer>,
    /// Tables: mean and deviation of a numeric target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Tables: the columns to predict, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Tables: mean and deviation of each of them, if they are numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scales: Vec<Scale>,
    /// Tables: what separates the labels in a cell of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<char>,
    /// Tables: how the numbers of the target are written.
    #[serde(skip_serializing_if = "NumberForm::is_plain")]
    pub target_form: NumberForm,
    /// Thresholds of groups, which were fitted to a trained run and are in a separate file.
    #[serde(skip)]
    pub thresholds: Option<GroupThresholds>,
    /// The temperature of a trained run's probabilities, which is in a separate file.
    #[serde(skip)]
    pub temperature: Option<FittedTemperature>,
    /// The files of the data, which a run saves in a separate file.
    #[serde(skip)]
    pub files: Option<Listing>,
    /// The digest of each part of the data, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
    /// Tables and series: how the cells of each column become numbers.
    #[serde(rename = "column", skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
}

impl Fitted {
    /// Whether there is nothing to save.
    pub fn is_empty(&self) -> bool {
        let written = Fitted {
            tokenizer: None,
            thresholds: None,
            temperature: None,
            files: None,
            ..self.clone()
        };
        written == Fitted::default()
    }

    /// Tables: how many targets there are, if there are several: numbers, or labels; 0 for one.
    pub(crate) fn several(&self) -> usize {
        match self.predict {
            Some(TargetKind::Labels) => self.classes.len(),
            _ => self.targets.len(),
        }
    }

    /// The numbers that a model predicts: name and scale of each. A name is `value` where the data have none.
    pub(crate) fn numbers(&self) -> Vec<(&str, Scale)> {
        const UNSCALED: Scale = Scale {
            mean: 0.0,
            std: 1.0,
        };
        if !self.targets.is_empty() {
            let names = self.targets.iter().map(|name| &**name);
            return names.zip(self.scales.iter().copied()).collect();
        }
        let name = self.target.as_deref().unwrap_or("value");
        vec![(name, self.scale.unwrap_or(UNSCALED))]
    }

    /// Tables: the names of the columns that a model takes.
    pub(crate) fn input_columns(&self) -> Vec<String> {
        let columns = self.columns.iter().map(|column| &column.name);
        let names = columns.chain(&self.text).chain(&self.image);
        names.cloned().collect()
    }

    /// Tables: the names of columns that are known and not among those of [`columns`](Fitted::columns).
    pub(crate) fn other_columns<'a>(&'a self, settings: &'a DataSettings) -> Vec<&'a String> {
        let named = [&self.target, &self.image].into_iter().flatten();
        named.chain(&self.targets).chain(&settings.drop).collect()
    }

    /// Takes the tokenizer that `settings` name for data of the `format`, unless an earlier run fixes one.
    ///
    /// # Errors
    /// If there is none, or it is another than the settings ask for, or does not suit the data.
    pub(crate) fn take_tokenizer(&mut self, settings: &DataSettings, format: &str) -> Result<()> {
        let Some(path) = settings
            .tokenizer
            .as_deref()
            .filter(|_| self.tokenizer.is_none())
        else {
            return Ok(());
        };
        let tokenizer = Tokenizer::of_run(Path::new(path))?;
        let (wanted, kind) = (settings.tokens, tokenizer.kind());
        if let Some(wanted) = wanted.filter(|wanted| Some(*wanted) != kind) {
            return Err(Error::Config(format!(
                "data.tokens is \"{}\", but the tokenizer of {path} is {}; leave data.tokens out",
                wanted.name(),
                kind.map_or("a published one".to_string(), |kind| format!(
                    "one of {}",
                    kind.name()
                ))
            )));
        }
        let unfit = match format {
            // A window of a text is full of tokens.
            "text" => None,
            "conll" if kind.is_none() => {
                Some("tags belong to whole words, which a published tokenizer may divide")
            }
            _ if tokenizer.writes_padding() => {
                Some("its token 0 is part of texts, but these samples are padded with it")
            }
            _ => None,
        };
        if let Some(why) = unfit {
            return Err(Error::Config(format!(
                "the tokenizer of {path} does not suit this data: {why}; leave data.tokenizer out"
            )));
        }
        if settings.mask_token && tokenizer.mask().is_none() {
            return Err(Error::Config(format!(
                "data.mask_token asks for a mask token, and the tokenizer of {path} has none; name that of a masked language model in \
                 data.tokenizer, or leave it out"
            )));
        }
        self.tokenizer = Some(tokenizer);
        Ok(())
    }

    /// The existing tokenizer, or a new one trained on `texts`, of the kind that `settings` name or else of `kind`, with a mask if they
    /// ask for one.
    pub(crate) fn tokenizer_of<'a>(
        &mut self,
        settings: &DataSettings,
        kind: TokenKind,
        texts: impl Iterator<Item = &'a str>,
    ) -> &Tokenizer {
        let kind = settings.tokens.unwrap_or(kind);
        self.tokenizer
            .get_or_insert_with(|| match settings.mask_token {
                false => Tokenizer::learn(kind, settings.vocabulary, texts),
                true => {
                    Tokenizer::learn(kind, settings.vocabulary.saturating_sub(1), texts).with_mask()
                }
            })
    }

    /// Takes mean, standard deviation and class names from `dataset`, except for means and deviations that `settings` or an
    /// earlier run fix.
    ///
    /// # Errors
    /// If the `settings` do not fit the data.
    pub(crate) fn take(
        &mut self,
        settings: &DataSettings,
        dataset: &Dataset<Samples>,
    ) -> Result<()> {
        self.classes.clone_from(&dataset.classes);
        let Some([.., channels]) = dataset.train.picture_shape() else {
            // Rows are scaled when they are read.
            (self.mean, self.std) = (Vec::new(), Vec::new());
            return Ok(());
        };
        let stats = || dataset.train.channel_stats();
        self.take_scale(settings, &dataset.name, channels, stats)
    }

    /// Takes mean and standard deviation from the `stats` of the training pixels of the data set `name`, unless `settings` or an
    /// earlier run fix them.
    ///
    /// # Errors
    /// If the `settings` do not fit the data.
    pub(super) fn take_scale(
        &mut self,
        settings: &DataSettings,
        name: &str,
        channels: usize,
        stats: impl FnOnce() -> Option<ChannelStats>,
    ) -> Result<()> {
        if let Some(mean) = &settings.mean {
            self.mean.clone_from(mean);
        }
        if let Some(std) = &settings.std {
            self.std.clone_from(std);
        }
        if (self.mean.is_empty() || self.std.is_empty())
            && let Some(ChannelStats { mean, std }) = stats()
        {
            if self.mean.is_empty() && settings.mean.is_none() {
                self.mean = mean;
            }
            if self.std.is_empty() && settings.std.is_none() {
                self.std = std.iter().map(|&s| if s > 0.0 { s } else { 1.0 }).collect();
            }
        }
        for (setting, values) in [("data.mean", &self.mean), ("data.std", &self.std)] {
            if values.len() != channels {
                return Err(Error::Config(format!(
                    "{setting} has {} numbers, one per channel, but the images of {name} have {channels} channels",
                    values.len()
                )));
            }
            if values.iter().any(|v| !v.is_finite()) {
                return Err(Error::Config(format!("{setting} must be finite numbers")));
            }
        }
        if self.std.iter().any(|&s| s <= 0.0) {
            return Err(Error::Config("data.std must be above 0".to_string()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ColumnKind, ImageSet};

    fn dataset() -> Dataset<Samples> {
        let set = || ImageSet {
            images: vec![0, 255],
            labels: vec![0, 1],
            height: 1,
            width: 1,
            channels: 1,
        };
        Dataset::new("two", set(), set(), vec!["no".into(), "yes".into()])
            .unwrap()
            .into()
    }

    #[test]
    fn settings_win_over_an_earlier_run_and_that_over_the_data() {
        let (mut settings, mut fitted) = (DataSettings::default(), Fitted::default());
        fitted.take(&settings, &dataset()).unwrap();
        assert_eq!(
            (&fitted.mean[..], &fitted.std[..]),
            (&[0.5][..], &[0.5][..])
        );
        fitted.mean = vec![0.25];
        fitted.take(&settings, &dataset()).unwrap();
        assert_eq!(fitted.mean, [0.25]);
        settings.mean = Some(vec![0.75]);
        fitted.take(&settings, &dataset()).unwrap();
        assert_eq!(
            (&fitted.mean[..], &fitted.std[..]),
            (&[0.75][..], &[0.5][..])
        );
        settings.std = Some(Vec::new());
        let message = fitted.take(&settings, &dataset()).unwrap_err().to_string();
        assert!(message.contains("data.std has 0 numbers"), "{message}");
    }

    #[test]
    fn a_file_gives_back_what_was_found_and_nothing_is_written_of_nothing() {
        assert!(Fitted::default().is_empty());
        let fitted = Fitted {
            format: FormatName::named("table"),
            classes: vec!["no".into(), "yes".into()],
            target: Some("label".into()),
            predict: Some(TargetKind::Class),
            separator: Some('|'),
            targets: vec!["a".into(), "b".into()],
            scales: vec![
                Scale {
                    mean: 0.5,
                    std: 2.0,
                };
                2
            ],
            mask_values: vec![MaskValue::Grey(3), MaskValue::Colour([1, 2, 255])],
            scale: Some(Scale {
                mean: 1.0,
                std: 2.0,
            }),
            columns: vec![Column {
                name: "age".into(),
                kind: ColumnKind::Category {
                    values: vec!["".into(), "old".into()],
                },
            }],
            ..Fitted::default()
        };
        assert!(!fitted.is_empty());
        let text = toml::to_string(&fitted).unwrap();
        assert_eq!(toml::from_str::<Fitted>(&text).unwrap(), fitted, "{text}");
    }
}
