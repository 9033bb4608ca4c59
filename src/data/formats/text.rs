//! Text for language models, which predict the next token.

#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, texts};
use crate::data::files::check_memory;
use crate::data::packed::{has_ending, stem};
use crate::data::texts::read_text;
use crate::data::{
    DataError, DataSettings, Dataset, Entry, Fitted, Parts, RowSet, Samples, Source, Targets,
    TokenKind, Tokenizer, WindowRows,
};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Files of the parts of a text, without extension.
const PARTS: [&[&str]; 3] = [
    &["train"],
    &["val", "valid", "validation", "dev"],
    &["test"],
];
/// Default share of a text that becomes its test part.
const TEST_SHARE: f64 = 0.1;

/// A text, whole or in parts.
pub struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn about(&self) -> &'static str {
        "a text"
    }

    fn looks_for(&self) -> &'static str {
        "one .txt file, or train.txt and test.txt"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let [train, ..] = files(source)?;
        let stem = stem(&train?);
        match source.is_file() {
            true => Detection::new(60, "the ending .txt"),
            false if PARTS[0].contains(&&*stem) => Detection::new(60, "a file train.txt"),
            false => Detection::new(45, "one file that ends in .txt"),
        }
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx.source, cx.settings, cx.fitted)?)
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        if cx
            .fitted
            .tokenizer
            .as_ref()
            .is_some_and(|own| own.mask().is_some())
        {
            return texts::read_inputs(inputs, cx);
        }
        Err(Error::Config(
            "this run was trained to write text, not to classify it; use `wgrad generate`"
                .to_string(),
        ))
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let settings = DataSettings {
            context: Some(4),
            ..DataSettings::default()
        };
        let text = "a text that ends in an umlaut, ä".repeat(8);
        let cut = text.len() - 1;
        Sample {
            settings,
            ..Sample::in_folder(dir)
        }
        .with("input.txt", text)
        .cut("input.txt", cut)
    }
}

/// The files of the texts of `source`: a file, the only one of a folder, or one for each part.
pub(super) fn files(source: &Source) -> Option<[Option<PathBuf>; 3]> {
    if source.is_file() {
        let path = source.path();
        return has_ending(path, "txt").then(|| [Some(path.to_owned()), None, None]);
    }
    let is_text = |entry: &&Entry| !entry.is_folder && has_ending(&entry.path, "txt");
    let texts: Vec<&Entry> = source.entries().iter().filter(is_text).collect();
    let part = |names: &[&str]| {
        let is = |entry: &&&Entry| names.contains(&&*stem(&entry.path));
        texts.iter().find(is).map(|entry| entry.path.clone())
    };
    match (PARTS.map(part), &texts[..]) {
        (parts @ [Some(_), ..], _) => Some(parts),
        (_, [only]) => Some([Some(only.path.clone()), None, None]),
        _ => None,
    }
}

/// Windows overlap, so samples of one fold would share tokens with samples of the others.
const NO_FOLDS: &str =
    "is one text, which can't be split into folds; leave out data.folds and --folds";

/// Loads a text: samples are windows of `context` tokens, and the targets are the next tokens. Without a `stride`, training
/// windows begin at random positions. The tokenizer is trained on the training part, unless `fitted` has one.
///
/// # Errors
/// Names the file that is not text, or is too short.
fn load(
    source: &Source,
    settings: &DataSettings,
    fitted: &mut Fitted,
) -> Result<Dataset<Samples>, DataError> {
    let path = source.path();
    if settings.folds.is_some() {
        return Err(DataError::unusable(path, NO_FOLDS));
    }
    let [train, validation, test] = files(source).ok_or_else(|| {
        DataError::unusable(
            path,
            "is not a text: give a .txt file, or a folder with train.txt and test.txt",
        )
    })?;
    let read =
        |path: PathBuf| -> Result<(String, PathBuf), DataError> { Ok((read_text(&path)?, path)) };
    let (mut train, file) = read(train.unwrap_or_else(|| path.to_owned()))?;
    let mut parts = [
        validation.map(read).transpose()?,
        test.map(read).transpose()?,
    ];
    if settings.unsplit {
        parts[1] = Some((train.clone(), file.clone()));
    } else if parts.iter().all(Option::is_none) {
        parts[1] = Some((
            cut_end(&mut train, settings.test_share.unwrap_or(TEST_SHARE)),
            file.clone(),
        ));
    }
    if let (Some(share), false, None) = (settings.validation_share, settings.unsplit, &parts[0]) {
        parts[0] = Some((cut_end(&mut train, share), file.clone()));
    }
    let tokenizer = fitted.tokenizer_of(
        settings,
        TokenKind::Characters,
        [train.as_str()].into_iter(),
    );
    let context = settings.context();
    let windows = |text: &str, path: &Path, stride: Option<usize>| -> Result<RowSet, DataError> {
        // A token and a start of a window for each byte, at most.
        check_memory(path, (text.len() as u64).saturating_mul(8))?;
        // As many tokens as characters, where these are the tokens; a list that grows would be copied.
        let mut tokens = Vec::with_capacity(match tokenizer {
            Tokenizer::Characters { .. } => text.chars().count(),
            _ => 0,
        });
        tokenizer.encoder().encode(text, &mut tokens);
        if tokens.len() <= context {
            return Err(DataError::unusable(
                path,
                format!(
                    "gives {} tokens in one of its parts, and a window takes {context} and the one after: make data.context \
                     smaller or the text longer",
                    tokens.len()
                ),
            ));
        }
        let starts = (0..tokens.len() - context)
            .step_by(stride.unwrap_or(context).max(1))
            .map(|start| start as u32);
        Ok(RowSet {
            starts: starts.collect(),
            random_starts: false,
            rows: WindowRows::Tokens {
                tokens,
                vocabulary: tokenizer.vocabulary(),
            },
            length: context,
            targets: Targets::NextToken,
        })
    };
    let text = train;
    let train = RowSet {
        random_starts: settings.stride.is_none(),
        ..windows(&text, &file, settings.stride)?
    };
    drop(text);
    let [validation, test] = parts;
    let part = |part: Option<(String, PathBuf)>| {
        part.map(|(text, path)| windows(&text, &path, None).map(Samples::from))
            .transpose()
    };
    let parts = Parts {
        train: train.into(),
        validation: part(validation)?,
        test: part(test)?,
    };
    Ok(Dataset::of_parts(path, parts, Vec::new()))
}

/// Splits off the last `share` of a text, so that no window is in both parts.
fn cut_end(text: &mut String, share: f64) -> String {
    let mut at = (text.len() as f64 * (1.0 - share)) as usize;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.split_off(at)
}

#[cfg(test)]
mod tests {
    use super::super::tests::in_folder;
    use super::*;
    use crate::data::{Starts, field};

    fn starts(samples: &Samples) -> &Starts {
        samples.starts().unwrap()
    }

    #[test]
    fn a_text_gives_windows_and_its_end_is_the_test_part() {
        let mut settings = DataSettings {
            context: Some(4),
            ..DataSettings::default()
        };
        let set = in_folder("input.txt", &"abcdefghij".repeat(5), &settings).unwrap();
        let train = starts(&set.train);
        assert_eq!(
            (train.rows, &train.first[..], train.anywhere),
            (45, &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40][..], true)
        );
        let WindowRows::Tokens { tokens, vocabulary } = set.train.rows_of(field::TOKENS) else {
            panic!("tokens");
        };
        assert_eq!((&tokens[..3], *vocabulary), (&[2, 3, 4][..], 12));
        assert_eq!(starts(&set.test).first, [0]);
        (settings.stride, settings.test_share) = (Some(1), Some(0.2));
        let set = in_folder("input.txt", &"abcdefghij".repeat(5), &settings).unwrap();
        let train = starts(&set.train);
        assert_eq!((train.first.len(), train.anywhere), (36, false));
        assert_eq!(starts(&set.test).first, [0, 4]);
        let message = in_folder("input.txt", "abc", &settings).unwrap_err();
        assert!(
            message.contains("2 tokens") && message.contains("data.context"),
            "{message}"
        );
    }
}
