//! Inspection of a source: its files and their first bytes. A folder is walked only once and the head of a file is read only once,
//! however many formats inspect them.

use super::files::name_as_text;
use super::settings::is_built_in;
use super::{DataError, DataSettings, SheetName, packed};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Number of bytes at the beginning of a file that formats may inspect.
const HEAD: u64 = 1 << 20;
/// Maximum depth of folders to walk.
const DEEPEST: usize = 18;

/// The source that `data.source` names: a file, a folder, or the built-in digits.
#[derive(Debug)]
pub struct Source {
    word: String,
    path: PathBuf,
    kind: SourceKind,
    /// Entries of the folder itself.
    entries: Vec<Entry>,
    tree: OnceLock<Tree>,
    heads: Mutex<BTreeMap<PathBuf, Arc<[u8]>>>,
    /// The sheet of a workbook that is to be read.
    sheet: Option<SheetName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourceKind {
    BuiltIn,
    File,
    Folder,
}

/// A file or folder in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Entry {
    /// The last part of its path.
    pub fn name(&self) -> String {
        name_as_text(self.path.file_name().unwrap_or_default())
    }

    /// Whether its name ends in a dot and `ending`, ignoring case.
    pub fn has_ending(&self, ending: &str) -> bool {
        has_ending(&self.path, ending)
    }
}

/// Whether the name of `path` ends in a dot and `ending`, ignoring case.
pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// All entries below a folder.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Sorted by path, a folder before its content. Names that begin with a dot are left out.
    entries: Vec<Entry>,
    /// Folders that can't be read, with the rest of a sentence about each.
    unreadable: Vec<(PathBuf, String)>,
}

impl Tree {
    /// Walks through `dir`.
    pub fn of(dir: &Path) -> Tree {
        let mut tree = Tree::default();
        match listed(dir) {
            Ok(entries) => tree.add(entries, &mut vec![real(dir)]),
            Err(e) => tree.unreadable.push((dir.to_owned(), no_access(&e))),
        }
        tree
    }

    /// Adds `entries` and what is below them; `within` are the real paths of the folders that they are in.
    fn add(&mut self, entries: Vec<Entry>, within: &mut Vec<PathBuf>) {
        for entry in entries {
            let path = (entry.is_folder && within.len() <= DEEPEST).then(|| entry.path.clone());
            self.entries.push(entry);
            let Some(path) = path else { continue };
            let here = real(&path);
            if within.contains(&here) {
                let problem = "is a link to a folder that it is in: remove it";
                self.unreadable.push((path, problem.to_string()));
                continue;
            }
            match listed(&path) {
                Ok(entries) => {
                    within.push(here);
                    self.add(entries, within);
                    within.pop();
                }
                Err(e) => self.unreadable.push((path, no_access(&e))),
            }
        }
    }

    /// The files below `dir` at any depth, each with its path relative to `dir`.
    ///
    /// # Errors
    /// If a folder among them can't be read.
    pub fn files_below<'t>(
        &'t self,
        dir: &'t Path,
    ) -> Result<impl Iterator<Item = (&'t Path, &'t Path)>, DataError> {
        if let Some((path, problem)) = self
            .unreadable
            .iter()
            .find(|(path, _)| path.starts_with(dir))
        {
            return Err(DataError::unusable(path, problem.clone()));
        }
        // Entries are sorted by path, so those below a folder are contiguous.
        let first = self.entries.partition_point(|entry| *entry.path < *dir);
        let below = self.entries[first..]
            .iter()
            .map(move |entry| (entry, entry.path.strip_prefix(dir)))
            .take_while(|(_, relative)| relative.is_ok());
        Ok(below
            .filter(|(entry, _)| !entry.is_folder)
            .filter_map(|(entry, relative)| Some((&*entry.path, relative.ok()?))))
    }
}

impl Tree {
    /// The folders directly in `dir`, sorted by path.
    pub fn folders_in(&self, dir: &Path) -> Vec<&Path> {
        let first = self.entries.partition_point(|entry| *entry.path < *dir);
        let below = self.entries[first..]
            .iter()
            .take_while(|entry| entry.path.starts_with(dir));
        below
            .filter(|entry| entry.is_folder && entry.path.parent() == Some(dir))
            .map(|entry| &*entry.path)
            .collect()
    }

    /// The folder directly in `dir` with one of these `names`; the first of the names that exists.
    pub fn folder_in(&self, dir: &Path, names: &[&str]) -> Option<&Path> {
        names.iter().find_map(|name| {
            let wanted = dir.join(name);
            let place = self
                .entries
                .binary_search_by(|entry| entry.path.cmp(&wanted));
            let found = &self.entries[place.ok()?];
            found.is_folder.then_some(&*found.path)
        })
    }
}

impl Source {
    /// Inspects the source of `settings`.
    ///
    /// # Errors
    /// As for [`Source::look`].
    pub fn of(settings: &DataSettings) -> Result<Source, DataError> {
        let sheet = settings.sheet.clone();
        let source = Source::look(&settings.source)?;
        Ok(Source { sheet, ..source })
    }

    /// Inspects the source that `word` names.
    ///
    /// # Errors
    /// If it does not exist, or is a folder that can't be read.
    pub fn look(word: &str) -> Result<Source, DataError> {
        let path = PathBuf::from(word);
        let kind = if is_built_in(word) {
            SourceKind::BuiltIn
        } else if path.is_dir() {
            SourceKind::Folder
        } else if path.exists() {
            SourceKind::File
        } else if word.contains(char::is_control) {
            let problem = "names nothing and holds a tab or another control character, as a backslash in double quotes makes one: write the \
                           path with / or in single quotes, as in 'C:\\data'";
            return Err(DataError::unusable(format!("{word:?}"), problem));
        } else {
            return Err(DataError::NoFolder { path });
        };
        let entries = match kind {
            SourceKind::Folder => listed(&path).map_err(|source| DataError::Unreadable {
                path: path.clone(),
                source,
            })?,
            _ => Vec::new(),
        };
        Ok(Source {
            word: word.to_string(),
            path,
            kind,
            entries,
            tree: OnceLock::new(),
            heads: Mutex::new(BTreeMap::new()),
            sheet: None,
        })
    }

    /// As the user wrote it.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sheet of a workbook that is to be read, if the settings name one.
    pub fn sheet(&self) -> Option<&SheetName> {
        self.sheet.as_ref()
    }

    /// Whether the program makes its data.
    pub fn is_built_in(&self) -> bool {
        self.kind == SourceKind::BuiltIn
    }

    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        self.kind == SourceKind::File
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.kind == SourceKind::Folder
    }

    /// The entries of the folder itself, sorted by name; none if the source is not a folder. Names that begin with a dot are left
    /// out.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The only file in the folder itself with this ending.
    pub fn only_file(&self, ending: &str) -> Option<&Path> {
        let mut found = self.entries.iter().filter(|entry| entry.has_ending(ending));
        let first = found.next()?;
        found.next().is_none().then_some(&*first.path)
    }

    /// All entries below the folder. The first call walks it.
    pub(super) fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| {
            let mut tree = Tree::default();
            tree.add(self.entries.clone(), &mut vec![real(&self.path)]);
            tree
        })
    }

    /// The first mebibyte of `path`, unpacked if it is compressed, or all of a shorter file; empty if it can't be read.
    pub fn head(&self, path: &Path) -> Arc<[u8]> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(head) = heads.get(path) {
            return head.clone();
        }
        let mut bytes = Vec::new();
        if let Ok(file) = packed::open(path) {
            // What was read before an error is a head, too.
            let _ = file.reader.take(HEAD).read_to_end(&mut bytes);
        }
        let head: Arc<[u8]> = bytes.into();
        heads.insert(path.to_owned(), head.clone());
        head
    }
}

/// The path of `dir` with all links resolved, or as it is if that fails.
fn real(dir: &Path) -> PathBuf {
    dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf())
}

fn no_access(error: &std::io::Error) -> String {
    format!("can't be read ({error}): check its permissions, or remove it")
}

/// The entries of `dir`, sorted by name; names that begin with a dot are left out.
fn listed(dir: &Path) -> std::io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type()?);
        entries.push(Entry {
            is_folder: kind.is_dir() || kind.is_symlink() && path.is_dir(),
            path,
        });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_without_hidden_names_and_walked_in_the_order_of_paths() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "b/2.png",
            "b/10.png",
            "a b/c/1.png",
            "a/1.png",
            ".git/x.png",
            "z.npz",
        ] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let source = Source::look(&dir.path().display().to_string()).unwrap();
        let names: Vec<String> = source.entries().iter().map(Entry::name).collect();
        assert_eq!(names, ["a", "a b", "b", "z.npz"]);
        assert_eq!(source.only_file("NPZ"), Some(&*dir.path().join("z.npz")));
        let folders = source.tree().folders_in(dir.path());
        let folders = folders.into_iter().filter_map(Path::file_name);
        assert_eq!(folders.collect::<Vec<_>>(), ["a", "a b", "b"]);
        let below = |dir: &Path| -> Vec<String> {
            let files = source.tree().files_below(dir).unwrap();
            files.map(|(_, from)| from.display().to_string()).collect()
        };
        assert_eq!(
            below(dir.path()),
            ["a/1.png", "a b/c/1.png", "b/10.png", "b/2.png", "z.npz"]
        );
        assert_eq!(below(&dir.path().join("a")), ["1.png"]);
        assert_eq!(&*source.head(&dir.path().join("z.npz")), b"z.npz");
        // A head that has been read is not read again.
        fs::write(dir.path().join("z.npz"), "other").unwrap();
        assert_eq!(&*source.head(&dir.path().join("z.npz")), b"z.npz");
        assert!(source.head(&dir.path().join("none")).is_empty());
    }

    #[test]
    fn a_missing_source_is_reported() {
        let message = Source::look("no/such/thing").unwrap_err().to_string();
        assert!(message.contains("no data at no/such/thing"), "{message}");
        assert!(Source::look("digits").unwrap().is_built_in());
    }
}
