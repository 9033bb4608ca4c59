//! The arrays of a source: those of archives, and of `.npy` files beside one another.

use super::npy::{self, Header};
use crate::data::formats::array::Array;
use crate::data::packed::{self, unpacked_name};
use crate::data::source::has_ending;
use crate::data::{DataError, Source, files::sorted_entries};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Maximum unpacked size of an array in bytes.
const MAX_ARRAY: u64 = 4 << 30;
/// Maximum compression ratio of deflate (RFC 1951).
const MAX_RATIO: u64 = 1032;

type Archive = ZipArchive<BufReader<File>>;

/// An array in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Its name in an archive, or that of its file.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The file in the archive, if it is one.
    entry: Option<String>,
}

/// The file of `source`, if that is one, or else the files of arrays in its folder.
pub(super) fn files(source: &Source) -> Vec<PathBuf> {
    let is_array = |path: &&PathBuf| has_ending(path, "npz") || packed::has_ending(path, "npy");
    if source.is_folder() {
        let paths = source.entries().iter().map(|entry| &entry.path);
        return paths.filter(is_array).cloned().collect();
    }
    match source.is_file() {
        true => vec![source.path().to_owned()],
        false => Vec::new(),
    }
}

/// The arrays of `source`: of one archive, or of all files of arrays in a folder. The other arrays of a file `.npy` lie beside it.
///
/// # Errors
/// If an archive can't be read.
pub(super) fn arrays(source: &Source) -> Result<Vec<Stored>, DataError> {
    let mut paths = files(source);
    if let ([path], Some(folder)) = (&paths[..], source.path().parent())
        && source.is_file()
        && packed::has_ending(path, "npy")
    {
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        let is_array = |path: &PathBuf| packed::has_ending(path, "npy");
        paths = sorted_entries(folder)?;
        paths.retain(is_array);
    }
    let several = paths.len() > 1;
    let mut found = Vec::new();
    for path in paths {
        let stem = unpacked_name(&path).with_extension("");
        let stem = stem
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !has_ending(&path, "npz") {
            found.push(Stored {
                name: stem,
                path,
                entry: None,
            });
            continue;
        }
        let archive = open(&path)?;
        let names = archive.file_names().flatten().map(|name| name.into_owned());
        for entry in names.collect::<Vec<String>>() {
            let Some(name) = entry.strip_suffix(".npy") else {
                continue;
            };
            // `numpy.savez(file, array)` names the only array `arr_0`.
            let name = match (several, name) {
                (true, "arr_0") => stem.clone(),
                (true, name) => format!("{stem}_{name}"),
                (false, name) => name.to_string(),
            };
            found.push(Stored {
                name,
                path: path.clone(),
                entry: Some(entry),
            });
        }
    }
    Ok(found)
}

fn open(path: &Path) -> Result<Archive, DataError> {
    let file = File::open(path).map_err(|source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    ZipArchive::new(BufReader::new(file))
        .map_err(|e| DataError::unusable(path, format!("is not a NumPy archive ({e})")))
}

impl Stored {
    /// The extents that its header declares.
    ///
    /// # Errors
    /// If it can't be read, or is not an array.
    pub fn shape(&self) -> Result<Vec<usize>, DataError> {
        self.with_reader(|reader, _| Ok(Header::read(reader)?.shape))
    }

    /// Reads the array, whose shape `expect` checks before the elements are read.
    ///
    /// # Errors
    /// If it is damaged or too large, or `expect` refuses it.
    pub fn read(
        &self,
        expect: &dyn Fn(&[usize]) -> Result<(), String>,
    ) -> Result<Array, DataError> {
        self.with_reader(|reader, most| {
            let array = npy::read(reader, most, expect)?;
            // Reading to the end verifies the checksum of an archive.
            match io::copy(&mut reader.take(1), &mut io::sink()) {
                Ok(_) => Ok(array),
                Err(e) => Err(format!("is damaged ({e}): download it again")),
            }
        })
    }

    /// Calls `read` with a reader and the most bytes that it can give; a problem continues a sentence about the array.
    fn with_reader<R>(
        &self,
        read: impl FnOnce(&mut dyn Read, u64) -> Result<R, String>,
    ) -> Result<R, DataError> {
        let name = &self.name;
        let wrong = |problem: String| DataError::unusable(&self.path, problem);
        let Some(entry) = &self.entry else {
            let mut file = packed::open(&self.path)?;
            return read(&mut file.reader, file.most).map_err(wrong);
        };
        let mut archive = open(&self.path)?;
        let entry = archive.by_name(entry);
        let mut entry =
            entry.map_err(|e| wrong(format!("holds no readable array {name} ({e})")))?;
        let size = entry.size();
        if size > MAX_ARRAY || size > entry.compressed_size().saturating_mul(MAX_RATIO) {
            return Err(wrong(format!(
                "declares {size} bytes for {name}: it is damaged, or over the limit of {MAX_ARRAY}"
            )));
        }
        read(&mut entry, size)
            .map_err(|problem| wrong(format!("holds an array {name} that {problem}")))
    }
}
