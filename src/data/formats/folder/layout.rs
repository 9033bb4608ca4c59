//! From a folder of image files to parts and classes.

use super::class_pattern::ClassPattern;
use crate::data::files::name_as_text;
use crate::data::formats::part_folders::{PartFolders, Role, role};
use crate::data::formats::picture_files::LeftOut;
use crate::data::source::Tree;
use crate::data::{DataError, DataSettings, Fitted};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unicode_normalization::UnicodeNormalization as _;

/// The deepest folder within folders that hold nothing else, such as `archive/dataset`, in which data are looked for.
const MOST_WRAPPERS: usize = 3;
/// Names of classes and folders that are listed at most.
const MOST_LISTED: usize = 12;

/// The image files of a part, by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Classed {
    /// The folder of the part.
    pub root: PathBuf,
    /// The files of each class, sorted.
    pub classes: BTreeMap<String, Vec<PathBuf>>,
}

impl Classed {
    /// Number of images.
    pub fn count(&self) -> usize {
        self.classes.values().map(Vec::len).sum()
    }
}

/// The parts of a folder of images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub train: Classed,
    pub validation: Option<Classed>,
    pub test: Option<Classed>,
    /// Where the names of the files hold the classes, if folders do not.
    pub pattern: Option<ClassPattern>,
    /// Whether there are images of kinds that are not read.
    pub has_other_images: bool,
    /// Lines on how the folder was read.
    pub found: Vec<String>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

impl Layout {
    /// The layout of the folder `root`, all of which `tree` holds.
    ///
    /// # Errors
    /// If a folder can't be read, or parts or classes contradict each other.
    pub fn of(
        tree: &Tree,
        root: &Path,
        settings: &DataSettings,
        fitted: &Fitted,
    ) -> Result<Layout, DataError> {
        let mut left_out = LeftOut::default();
        let all = tree.files_below(root)?.map(|(path, _)| path);
        let images = Images {
            tree,
            files: all.filter(|path| left_out.is_image(path)).collect(),
        };
        let said = settings.class_pattern.as_ref();
        let mut reader = Reader {
            images,
            pattern: said.or(fitted.class_pattern.as_ref()).cloned(),
            by_name: said.is_some(),
            known: &fitted.classes,
            layout: Layout::default(),
        };
        reader.layout.notes = left_out.notes();
        reader.layout.has_other_images = left_out.has_images();
        reader.read(root, settings)?;
        let mut layout = reader.layout;
        layout.pattern = match reader.by_name {
            true => reader.pattern,
            false => None,
        };
        layout.note_classes();
        Ok(layout)
    }

    /// Adds lines on the classes and their counts.
    fn note_classes(&mut self) {
        let classes = &self.train.classes;
        let shown = classes.iter().take(MOST_LISTED);
        let shown = shown.map(|(class, files)| format!("{class} ({})", files.len()));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let more = match classes.len() > MOST_LISTED {
            true => ", …",
            false => "",
        };
        match classes.len() {
            0 => {}
            1 => self.found.push(format!("a single class: {shown}")),
            count => self.found.push(format!("{count} classes: {shown}{more}")),
        }
        let parts = [("validation", &self.validation), ("test", &self.test)];
        for (name, part) in parts {
            let Some(part) = part else { continue };
            let missing = classes
                .keys()
                .filter(|class| !part.classes.contains_key(*class));
            let missing: Vec<&str> = missing.map(|class| &**class).collect();
            if !missing.is_empty() && !part.classes.is_empty() {
                self.notes.push(format!(
                    "the {name} part has no image of {}",
                    listed(&missing)
                ));
            }
        }
    }
}

/// Names, of which only the first few are listed.
fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(MOST_LISTED).copied();
    let more = match names.len() > MOST_LISTED {
        true => ", …",
        false => "",
    };
    format!("{}{more}", shown.collect::<Vec<_>>().join(", "))
}

/// The image files of a source.
struct Images<'t> {
    tree: &'t Tree,
    /// Sorted by path.
    files: Vec<&'t Path>,
}

impl<'t> Images<'t> {
    /// Those in `dir`, at any depth.
    fn below(&self, dir: &Path) -> &[&'t Path] {
        let first = self.files.partition_point(|file| *file < dir);
        let rest = &self.files[first..];
        &rest[..rest.partition_point(|file| file.starts_with(dir))]
    }

    /// Those directly in `dir`.
    fn directly_in(&self, dir: &Path) -> Vec<&'t Path> {
        let files = self.below(dir).iter().copied();
        files.filter(|file| file.parent() == Some(dir)).collect()
    }

    /// The folders in `dir` that hold images.
    fn folders(&self, dir: &Path) -> Vec<&'t Path> {
        let folders = self.tree.folders_in(dir).into_iter();
        folders
            .filter(|folder| !self.below(folder).is_empty())
            .collect()
    }
}

/// Reads a layout.
struct Reader<'t> {
    images: Images<'t>,
    /// The pattern that was given, or found in the training part.
    pattern: Option<ClassPattern>,
    /// Whether the classes are those of the pattern.
    by_name: bool,
    /// The classes of a run that is evaluated.
    known: &'t [String],
    layout: Layout,
}

impl<'t> Reader<'t> {
    fn read(&mut self, root: &Path, settings: &DataSettings) -> Result<(), DataError> {
        let base = self.base_of(root);
        if base != root {
            let within = base.strip_prefix(root).unwrap_or(&base);
            self.layout
                .found
                .push(format!("read from the folder {}", within.display()));
        }
        let folders = self.images.tree.folders_in(&base);
        let parts = PartFolders::of(&folders)?;
        if self.are_parts(&parts) {
            return self.read_parts(&base, &parts, settings);
        }
        if self.hold_parts(&base)? {
            return self.read_parts_of_classes(&base);
        }
        for folder in self.images.folders(&base) {
            if let Some((_, rest)) = role(folder)
                && rest.is_empty()
            {
                self.layout.notes.push(format!(
                    "the folder {} is taken for a class, because it is beside folders that are no parts",
                    name_of(folder)
                ));
            }
        }
        self.layout.train = self.classes(&base, true)?;
        Ok(())
    }

    /// The folder of the parts or classes in `root`: `root`, or a folder in it that holds all images and several folders of them.
    fn base_of(&self, root: &Path) -> PathBuf {
        let mut base = root.to_owned();
        for _ in 0..MOST_WRAPPERS {
            let Some(only) = self.only_folder(&base) else {
                break;
            };
            let within = self.images.folders(only);
            let goes_on = match within[..] {
                _ if role(only).is_some() || self.known.contains(&class_name(only)) => false,
                [] => self.has_classes_in_names(only),
                [one] => {
                    matches!(role(one), Some((Role::Train, _)))
                        || self.images.folders(one).len() > 1
                }
                _ => true,
            };
            if !goes_on {
                break;
            }
            base = only.to_owned();
        }
        base
    }

    /// The folder in `dir` that holds all its images.
    fn only_folder(&self, dir: &Path) -> Option<&'t Path> {
        match self.images.folders(dir)[..] {
            [only] if self.images.directly_in(dir).is_empty() => Some(only),
            _ => None,
        }
    }

    fn has_classes_in_names(&self, dir: &Path) -> bool {
        match &self.pattern {
            Some(_) => true,
            None => ClassPattern::detect(&stems(&self.images.directly_in(dir))).is_some(),
        }
    }

    /// Whether folders with the names of parts are parts. A class may also be called so: `bus`, `plane` and `train`.
    fn are_parts(&self, parts: &PartFolders<'t>) -> bool {
        let PartFolders {
            train,
            validation,
            test,
            others,
        } = parts;
        let mut others = others
            .iter()
            .filter(|other| !self.images.below(other).is_empty());
        let other_parts = validation.is_some() || test.is_some();
        match train {
            Some(train) => {
                other_parts
                    || !self.images.folders(train).is_empty()
                    || others.all(|other| role(other).is_some())
            }
            None => other_parts && others.next().is_none(),
        }
    }

    fn read_parts(
        &mut self,
        base: &Path,
        parts: &PartFolders<'t>,
        settings: &DataSettings,
    ) -> Result<(), DataError> {
        self.layout.found.extend(parts.in_words());
        for other in &parts.others {
            let count = self.images.below(other).len();
            if count > 0 {
                self.layout.notes.push(format!(
                    "the folder {} is no part: left out with {}",
                    name_of(other),
                    images_in_words(count)
                ));
            }
        }
        let Some(train) = parts.train else {
            let only = parts.test.or(parts.validation).unwrap_or(base);
            if !settings.unsplit {
                return Err(DataError::unusable(
                    base,
                    format!(
                        "has a part {} but no training part: add one in a folder train",
                        name_of(only)
                    ),
                ));
            }
            // A run is evaluated on all samples of a source without parts.
            self.layout.train = self.classes(only, true)?;
            return Ok(());
        };
        self.layout.train = self.classes(train, true)?;
        let own = [parts.validation, parts.test];
        let [validation, test] = own.map(|folder| folder.map(|folder| self.part(folder)));
        self.layout.validation = validation.transpose()?.flatten();
        self.layout.test = test.transpose()?.flatten();
        Ok(())
    }

    /// The validation or test part in `folder`; `None` if its images have no classes.
    fn part(&mut self, folder: &Path) -> Result<Option<Classed>, DataError> {
        let count = self.images.below(folder).len();
        if count == 0 {
            return Err(DataError::unusable(
                folder,
                "has no images: add some, or remove it",
            ));
        }
        let read = self.classes(folder, false)?;
        if read.classes.is_empty() {
            self.layout.notes.push(format!(
                "the {count} images of the folder {} have no classes: left out",
                name_of(folder)
            ));
            return Ok(None);
        }
        Ok(Some(read))
    }

    /// Whether each folder in `base` is a class with a training part in it.
    fn hold_parts(&self, base: &Path) -> Result<bool, DataError> {
        let classes = self.images.folders(base);
        for class in &classes {
            let parts = PartFolders::of(&self.images.tree.folders_in(class))?;
            let has_others = parts
                .others
                .iter()
                .any(|other| !self.images.below(other).is_empty());
            if parts.train.is_none() || has_others {
                return Ok(false);
            }
        }
        Ok(classes.len() > 1)
    }

    /// Reads `cat/train`, `cat/test`, `dog/train` and so on.
    fn read_parts_of_classes(&mut self, base: &Path) -> Result<(), DataError> {
        let mut read: [Classed; 3] = Default::default();
        for part in &mut read {
            part.root = base.to_owned();
        }
        for class in self.images.folders(base) {
            let parts = PartFolders::of(&self.images.tree.folders_in(class))?;
            let folders = [parts.train, parts.validation, parts.test];
            for (part, folder) in read.iter_mut().zip(folders) {
                let files = folder
                    .map(|folder| self.images.below(folder))
                    .unwrap_or_default();
                if !files.is_empty() {
                    let files = files.iter().map(|file| file.to_path_buf());
                    part.classes
                        .entry(class_name(class))
                        .or_default()
                        .extend(files);
                }
            }
        }
        self.layout
            .found
            .push("each class has folders of its parts".to_string());
        let [train, validation, test] = read;
        let some = |part: Classed| (!part.classes.is_empty()).then_some(part);
        (self.layout.train, self.layout.validation, self.layout.test) =
            (train, some(validation), some(test));
        Ok(())
    }

    /// The classes of the part `root`: its folders or, if it has none or a pattern says so, those in the names of its files.
    fn classes(&mut self, root: &Path, is_train: bool) -> Result<Classed, DataError> {
        let root = match self.only_folder(root) {
            // As in seg_train/seg_train.
            Some(only) if is_same(only, root) => only.to_owned(),
            _ => root.to_owned(),
        };
        let direct = self.images.directly_in(&root);
        if self.by_name {
            let files = self.images.below(&root).to_vec();
            return self.classes_in_names(root, &files, is_train);
        }
        let mut classes: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let mut empty = Vec::new();
        for folder in self.images.tree.folders_in(&root) {
            let files = self.images.below(folder).iter();
            match files.len() {
                0 => empty.push(name_of(folder)),
                _ => classes
                    .entry(class_name(folder))
                    .or_default()
                    .extend(files.map(|file| file.to_path_buf())),
            }
        }
        if classes.is_empty() && is_train && !direct.is_empty() {
            let stems = stems(&direct);
            self.pattern = self.pattern.take().or_else(|| ClassPattern::detect(&stems));
            if self.pattern.is_some() {
                self.by_name = true;
                return self.classes_in_names(root, &direct, is_train);
            }
            return Err(DataError::unusable(
                &root,
                format!(
                    "holds {} images without classes: put the images of each class into a folder with its name, or set \
                     data.class_pattern, such as \"{{class}}_*\" for cat_1.jpg",
                    direct.len()
                ),
            ));
        }
        if is_train && !empty.is_empty() && !classes.is_empty() {
            let names: Vec<&str> = empty.iter().map(|name| &**name).collect();
            self.layout.notes.push(format!(
                "no images in {} of {}: no class",
                match names.len() {
                    1 => format!("the folder {}", names[0]),
                    _ => format!("the folders {}", listed(&names)),
                },
                name_of(&root)
            ));
        }
        if !direct.is_empty() && !classes.is_empty() {
            self.layout.notes.push(format!(
                "{} directly in {}, beside the folders of the classes: left out",
                match direct.len() {
                    1 => "1 image is".to_string(),
                    count => format!("{count} images are"),
                },
                name_of(&root)
            ));
        }
        Ok(Classed { root, classes })
    }

    /// The classes in the names of `files`, by the pattern. In a part other than training, no name may have a class.
    fn classes_in_names(
        &mut self,
        root: PathBuf,
        files: &[&'t Path],
        is_train: bool,
    ) -> Result<Classed, DataError> {
        let mut classes: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let Some(pattern) = &self.pattern else {
            return Ok(Classed { root, classes });
        };
        let mut without = None;
        for &file in files {
            match pattern.class_of(&stem(file)) {
                Some(class) => {
                    let class = class.nfc().collect();
                    classes.entry(class).or_default().push(file.to_owned());
                }
                None => without = without.or(Some(file)),
            }
        }
        match without {
            Some(file) if is_train || !classes.is_empty() => Err(DataError::unusable(
                file,
                format!(
                    "has no class in its name by data.class_pattern = \"{pattern}\": rename or remove it, or change the pattern"
                ),
            )),
            _ => {
                if is_train && let Some(file) = files.first() {
                    let class = pattern.class_of(&stem(file)).unwrap_or_default();
                    self.layout.found.push(format!(
                        "classes are in the names of the files, by data.class_pattern = \"{pattern}\": {} is {class}",
                        name_of(file)
                    ));
                }
                Ok(Classed { root, classes })
            }
        }
    }
}

/// Whether a folder within another stands for the same.
fn is_same(inner: &Path, outer: &Path) -> bool {
    let same_role = || match (role(inner), role(outer)) {
        (Some((inner, _)), Some((outer, _))) => inner == outer,
        _ => false,
    };
    inner.file_name() == outer.file_name() || same_role()
}

fn images_in_words(count: usize) -> String {
    match count {
        1 => "1 image".to_string(),
        _ => format!("{count} images"),
    }
}

fn name_of(path: &Path) -> String {
    name_as_text(path.file_name().unwrap_or_default())
}

/// The class that the folder `path` is called after. Accents may be written as one character or two, depending on the system that
/// made the folder: Unicode's form C has them as one.
fn class_name(path: &Path) -> String {
    name_of(path).nfc().collect()
}

/// The name of a file without its ending.
fn stem(path: &Path) -> String {
    name_as_text(path.file_stem().unwrap_or_default())
}

fn stems(files: &[&Path]) -> Vec<String> {
    files.iter().map(|file| stem(file)).collect()
}

#[cfg(test)]
mod tests;
