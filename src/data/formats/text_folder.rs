//! A folder of text files for each class: `pos/1.txt` and `neg/2.txt`, or parts `train` and `test` of such folders, as in IMDB (Maas
//! et al. 2011).

#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, texts};
use crate::data::files::{check_memory, name_as_text};
use crate::data::packed::has_ending;
use crate::data::split::Drawn;
use crate::data::texts::read_text;
use crate::data::{DataError, Dataset, Part, Parts, SampleNames, Samples, Source, TokenKind};
use crate::error::Result;
use std::path::{Path, PathBuf};

/// Names of the folders of the parts.
const PARTS: [&[&str]; 3] = [
    &["train", "training"],
    &["val", "valid", "validation", "dev"],
    &["test", "testing"],
];
/// The folder of texts without a class in IMDB.
const WITHOUT_CLASS: &str = "unsup";
/// Files that a folder of a class must mostly hold to be detected; so many are looked at.
const LOOKED_AT: usize = 100;

/// Folders of text files, one for each class.
pub struct TextFolder;

impl Format for TextFolder {
    fn name(&self) -> &'static str {
        "text_folder"
    }

    fn about(&self) -> &'static str {
        "text files by class"
    }

    fn looks_for(&self) -> &'static str {
        "a folder of .txt files for each class"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        if !source.is_folder() {
            return None;
        }
        let train = part_folders(source)[0].unwrap_or(source.path());
        let classes = class_folders(source, train);
        let holds_texts = |(_, folder): &(String, PathBuf)| {
            let files = source.tree().files_below(folder).ok()?.take(LOOKED_AT);
            let (mut all, mut texts) = (0, 0);
            for (path, _) in files {
                all += 1;
                texts += usize::from(has_ending(path, "txt"));
            }
            Some(texts * 2 > all)
        };
        let texts: Vec<&(String, PathBuf)> = classes
            .iter()
            .filter(|folder| holds_texts(folder) == Some(true))
            .collect();
        match &texts[..] {
            [(a, _), (b, _), ..] => {
                Detection::new(65, format!("folders of .txt files, {a} and {b}"))
            }
            _ => None,
        }
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx)?)
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        texts::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let mut sample = Sample::in_folder(dir);
        for n in 0..12 {
            let [class, word] = [["neg", "bad"], ["pos", "good"]][n % 2];
            sample = sample.with(&format!("{class}/{n}.txt"), format!("a {word} film, {n}ä"));
        }
        let settings = crate::data::DataSettings {
            context: Some(4),
            ..sample.settings
        };
        let sample = Sample { settings, ..sample };
        // In the middle of a character.
        let whole = "a bad film, 0ä".len();
        sample.cut("neg/0.txt", whole - 1)
    }
}

/// The folders of the training, validation and test part.
fn part_folders(source: &Source) -> [Option<&Path>; 3] {
    PARTS.map(|names| {
        let is = |entry: &&crate::data::Entry| {
            entry.is_folder && names.contains(&&*entry.name().to_lowercase())
        };
        let found = source.entries().iter().find(is);
        found.map(|entry| &*entry.path)
    })
}

/// The folders in `dir`, with their names, which are those of classes.
fn class_folders(source: &Source, dir: &Path) -> Vec<(String, PathBuf)> {
    let folders = source.tree().folders_in(dir);
    let named = folders.into_iter().map(|path| {
        let name = path.file_name().unwrap_or_default();
        (name_as_text(name), path.to_owned())
    });
    named.filter(|(name, _)| name != WITHOUT_CLASS).collect()
}

/// The texts of a part, each with its class.
struct PartTexts {
    texts: Vec<String>,
    /// Their files, relative to the folder of the part.
    names: Vec<String>,
    labels: Vec<u32>,
    others: usize,
}

/// Loads the texts. The tokenizer is trained on the training part, unless there is one in `cx.fitted`.
fn load(cx: &mut LoadContext<'_>) -> std::result::Result<Dataset<Samples>, DataError> {
    let (source, settings) = (cx.source, cx.settings);
    let path = source.path();
    let [train, validation, test] = part_folders(source);
    let folders = class_folders(source, train.unwrap_or(path));
    let names: Vec<String> = match cx.fitted.classes.is_empty() {
        true => folders.into_iter().map(|(name, _)| name).collect(),
        false => cx.fitted.classes.clone(),
    };
    if names.len() < 2 {
        let problem = "has no two folders of .txt files: make one for each class";
        return Err(DataError::unusable(train.unwrap_or(path), problem));
    }
    let read = |dir: Option<&Path>| dir.map(|dir| read_part(source, dir, &names)).transpose();
    let own = read(Some(train.unwrap_or(path)))?;
    let own = own.ok_or_else(|| DataError::unusable(path, "holds no texts"))?;
    // Folders beside the training part are other parts only if there is one.
    let [validation, test] = match train {
        Some(_) => [read(validation)?, read(test)?],
        None => [None, None],
    };
    let drawn = Drawn::of(settings, validation.is_some(), test.is_some());
    let of_each = drawn.parts(&own.labels, settings, cx.seed)?;
    let seen = own.texts.iter().zip(&of_each);
    let seen = seen.filter(|&(_, &part)| part == Part::Train);
    let tokenizer =
        cx.fitted
            .tokenizer_of(settings, TokenKind::Words, seen.map(|(text, _)| &**text));
    let parts = || {
        [Some(&own), validation.as_ref(), test.as_ref()]
            .into_iter()
            .flatten()
    };
    texts::check_tokens(parts().map(|part| part.texts.len()).sum(), settings, path)?;
    let mut cut = 0;
    let mut set = |part: &PartTexts, keep: &dyn Fn(usize) -> bool| {
        let kept: Vec<usize> = (0..part.texts.len()).filter(|&index| keep(index)).collect();
        let texts = kept.iter().map(|&index| &*part.texts[index]);
        let labels = kept.iter().map(|&index| part.labels[index]).collect();
        let names = kept.iter().map(|&index| part.names[index].clone());
        let names = SampleNames::Files(names.collect());
        texts::samples(texts, Some(labels), tokenizer, settings, &mut cut).named(names)
    };
    let mut drawn_part = |part: Part| set(&own, &|index| of_each[index] == part);
    let mut found = Parts {
        train: drawn_part(Part::Train),
        validation: drawn.validation.then(|| drawn_part(Part::Validation)),
        test: drawn.test.then(|| drawn_part(Part::Test)),
    };
    if !drawn.test {
        let mut whole = |part: &Option<PartTexts>| part.as_ref().map(|part| set(part, &|_| true));
        found.test = whole(&test);
        found.validation = found.validation.or_else(|| whole(&validation));
    }
    let mut dataset = Dataset::of_parts(path, found, names.clone());
    dataset.notes.extend(texts::note_on_cut(cut, settings));
    let others: usize = parts().map(|part| part.others).sum();
    if others > 0 {
        let note =
            format!("{others} files in the folders of classes do not end in .txt and are not read");
        dataset.notes.push(note);
    }
    Ok(dataset)
}

/// Reads all texts below the folders of the classes in `dir`.
fn read_part(
    source: &Source,
    dir: &Path,
    classes: &[String],
) -> std::result::Result<PartTexts, DataError> {
    let mut part = PartTexts {
        texts: Vec::new(),
        names: Vec::new(),
        labels: Vec::new(),
        others: 0,
    };
    let mut bytes: u64 = 0;
    for (name, folder) in class_folders(source, dir) {
        let label = classes.iter().position(|class| *class == name);
        let label = label.ok_or_else(|| {
            let problem = format!(
                "is a class that did not occur in training: the classes are {}",
                classes.join(", ")
            );
            DataError::unusable(&folder, problem)
        })?;
        for (path, _) in source.tree().files_below(&folder)? {
            if !has_ending(path, "txt") {
                part.others += 1;
                continue;
            }
            let text = read_text(path)?;
            bytes += text.len() as u64;
            check_memory(path, bytes)?;
            part.texts.push(text);
            let file = path.strip_prefix(dir).unwrap_or(path);
            part.names.push(name_as_text(file.as_os_str()));
            part.labels.push(label as u32);
        }
    }
    match part.texts.is_empty() {
        true => Err(DataError::unusable(
            dir,
            "holds no .txt files in folders of classes",
        )),
        false => Ok(part),
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{DataSettings, Fitted};
    use std::fs;

    #[test]
    fn folders_are_classes_and_parts_as_in_imdb() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (name, text) in [
            ("README", "reviews"),
            ("train/urls_pos.txt", "http"),
            ("train/pos/0_9.txt", "a fine film"),
            ("train/neg/0_1.txt", "a bad film"),
            ("train/neg/1_1.txt", "very bad"),
            ("train/neg/old.html", "<p>"),
            ("train/unsup/0_0.txt", "a film"),
            ("test/pos/1.txt", "fine"),
            ("test/neg/2.txt", "bad"),
        ] {
            put(name, text);
        }
        let settings = DataSettings {
            source: dir.path().display().to_string(),
            context: Some(3),
            tokens: Some(crate::data::TokenKind::Words),
            ..DataSettings::default()
        };
        let load = || crate::data::load(&settings, &mut Fitted::default(), 1);
        let set = load().unwrap();
        assert_eq!(set.classes, ["neg", "pos"]);
        assert_eq!(set.train.name(2).to_string(), "pos/0_9.txt");
        assert_eq!(
            (set.train.labels(), set.test.labels()),
            (Some(&[0, 0, 1][..]), Some(&[0, 1][..]))
        );
        assert!(
            set.notes.iter().any(|note| note.starts_with("1 files")),
            "{:?}",
            set.notes
        );
        put("test/other/3.txt", "so so");
        let message = load().unwrap_err().to_string();
        assert!(
            message.contains("other is a class that did not occur"),
            "{message}"
        );
    }
}
