//! Texts without classes, one in each line of a text file.

#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, text, texts,
};
use crate::data::files::check_memory;
use crate::data::split::Drawn;
use crate::data::texts::read_text;
use crate::data::{DataError, Dataset, Part, SampleNames, Samples, Source, TokenKind};
use crate::error::Result;
use std::path::{Path, PathBuf};

/// A text file whose lines are texts, or one for each part.
pub struct TextLines;

impl Format for TextLines {
    fn name(&self) -> &'static str {
        "text_lines"
    }

    fn about(&self) -> &'static str {
        "texts, one in each line"
    }

    fn looks_for(&self) -> &'static str {
        "one .txt file, or train.txt and test.txt, if data.format says so"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        // The same files are those of a text, which is what they are unless the settings say so.
        let [train, ..] = text::files(source)?;
        train?;
        Detection::new(20, "the ending .txt")
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx)?)
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        texts::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let settings = crate::data::DataSettings {
            format: crate::data::FormatName::named("text_lines"),
            context: Some(4),
            ..crate::data::DataSettings::default()
        };
        let line = |n: usize| format!("sentence {n} of many, ä\n");
        let text = (0..12).map(line).collect::<String>();
        // In the middle of a character.
        let cut = text.len() - 2;
        Sample {
            settings,
            ..Sample::in_folder(dir)
        }
        .with("input.txt", text)
        .cut("input.txt", cut)
    }
}

/// The lines of a file that are not empty, with their numbers from 1.
struct Lines(Vec<(u32, String)>);

impl Lines {
    fn read(path: &Path, bytes: &mut u64) -> std::result::Result<Lines, DataError> {
        let text = read_text(path)?;
        *bytes += 2 * text.len() as u64;
        check_memory(path, *bytes)?;
        let lines = (1..).zip(text.lines().map(str::trim));
        let lines = lines.filter(|(_, line)| !line.is_empty());
        let lines: Vec<_> = lines.map(|(n, line)| (n, line.to_string())).collect();
        match lines.is_empty() {
            true => Err(DataError::unusable(
                path,
                "has no text: put a sentence in each line",
            )),
            false => Ok(Lines(lines)),
        }
    }
}

/// Loads the lines. The tokenizer is trained on the training part, unless there is one in `cx.fitted`.
fn load(cx: &mut LoadContext<'_>) -> std::result::Result<Dataset<Samples>, DataError> {
    let (source, settings) = (cx.source, cx.settings);
    let path = source.path();
    let [train, validation, test] = text::files(source).ok_or_else(|| {
        let problem = "is not a text: give a .txt file, or a folder with train.txt and test.txt";
        DataError::unusable(path, problem)
    })?;
    let mut bytes = 0;
    let mut read = |path: PathBuf| Lines::read(&path, &mut bytes);
    let own = read(train.unwrap_or_else(|| path.to_owned()))?;
    let others = match settings.folds {
        None => [validation, test],
        Some(_) => [None, None],
    };
    let [validation, test] = others.map(|file| file.map(&mut read).transpose());
    let (validation, test) = (validation?, test?);
    let drawn = Drawn::of(settings, validation.is_some(), test.is_some());
    let of_each = drawn.parts(&vec![0; own.0.len()], settings, cx.seed)?;
    let seen = own.0.iter().zip(&of_each);
    let seen = seen.filter(|&(_, &part)| part == Part::Train);
    let seen = seen.map(|((_, line), _)| &**line);
    let tokenizer = cx.fitted.tokenizer_of(settings, TokenKind::Words, seen);
    let all = [Some(&own), validation.as_ref(), test.as_ref()];
    let all = all.into_iter().flatten().map(|part| part.0.len());
    texts::check_tokens(all.sum(), settings, path)?;
    let mut cut = 0;
    let set = |part: &Lines, keep: &dyn Fn(usize) -> bool| {
        let kept = part.0.iter().enumerate().filter(|(index, _)| keep(*index));
        let (numbers, lines): (Vec<u32>, Vec<&str>) =
            kept.map(|(_, (n, line))| (*n, &**line)).unzip();
        texts::samples(lines.into_iter(), None, tokenizer, settings, &mut cut)
            .named(SampleNames::Lines(numbers))
    };
    let others = [validation.as_ref(), test.as_ref()];
    let found = drawn.divide(&own, &of_each, others, set);
    let mut dataset = Dataset::of_parts(path, found, Vec::new());
    dataset.notes.extend(texts::note_on_cut(cut, settings));
    Ok(dataset)
}

#[cfg(test)]
mod tests {
    use super::super::tests::in_folder;
    use crate::data::{DataSettings, FormatName, PADDING};

    fn settings() -> DataSettings {
        DataSettings {
            format: FormatName::named("text_lines"),
            context: Some(3),
            ..DataSettings::default()
        }
    }

    #[test]
    fn each_line_is_a_text_without_a_class() {
        let text = "one\n\n two words \r\nand three words more\nfour\nfive\n";
        let set = in_folder("lines.txt", text, &settings()).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (4, 1));
        assert_eq!((set.train.labels(), set.train.noun()), (None, "texts"));
        // Words of each line: a text is cut after three, and one of the lines is in the test part.
        let words = [1, 0, 2, 3, 1, 1];
        for (index, line) in (0..4).map(|index| (index, set.train.name(index))) {
            let tokens = set.train.tokens(index).unwrap();
            let real = tokens.iter().filter(|&&token| token != PADDING).count();
            let line = line.value.as_u64().unwrap() as usize;
            assert_eq!(real, words[line - 1], "line {line}");
        }
        assert!(
            set.notes[0].contains("longer than the context"),
            "{:?}",
            set.notes
        );
    }

    #[test]
    fn a_file_without_a_text_is_refused() {
        for text in ["", "\n \n"] {
            let message = in_folder("lines.txt", text, &settings()).unwrap_err();
            assert!(message.contains("has no text: put a sentence"), "{message}");
        }
    }
}
