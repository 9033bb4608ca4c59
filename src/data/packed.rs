//! Compressed files: gzip, xz, and zip archives that hold one file. Their content is read as it is unpacked.

use super::DataError;
use crate::guard::guarded;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use lzma_rust2::XzReader;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use zip::{CompressionMethod, ZipArchive};

/// Maximum compression ratio of deflate (RFC 1951: a 258-byte match in two bits), so n bytes can't unpack to more than this times n.
const DEFLATE_RATIO: u64 = 1032;
/// Maximum memory of the decoder of xz in KiB: the dictionary of `xz -9`, which has 64 MiB, and the rest.
const XZ_KIB: u32 = 80 << 10;
/// Extensions of compressed files.
const ENDINGS: [&str; 3] = ["gz", "xz", "zip"];
/// Bytes that are read at once.
const BUFFER: usize = 1 << 16;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Xz,
    Zip,
}

impl Packing {
    /// The packing of a file that begins with `start`.
    fn of(start: &[u8]) -> Option<Packing> {
        match start {
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Some(Packing::Xz),
            [b'P', b'K', 3, 4, ..] => Some(Packing::Zip),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Xz => "xz",
            Packing::Zip => "zip",
        }
    }
}

/// A file whose content is unpacked as it is read.
pub(super) struct Opened {
    /// At the beginning of the content.
    pub reader: Box<dyn Read>,
    /// How the file is compressed, which its first bytes show.
    pub packing: Option<Packing>,
    /// Upper bound of the length of the content in bytes; the exact length if the file is not compressed.
    pub most: u64,
}

/// Opens `path`, and unpacks it if it is compressed, whatever it is called.
///
/// # Errors
/// If it can't be read, or is a zip archive that holds several files.
pub(super) fn open(path: &Path) -> Result<Opened, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut start = Vec::with_capacity(6);
    (&mut file)
        .take(6)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let packing = Packing::of(&start);
    let file = BufReader::with_capacity(BUFFER, file);
    let (reader, most): (Box<dyn Read>, u64) = match packing {
        None => (Box::new(file), length),
        Some(Packing::Gzip) => (
            Box::new(MultiGzDecoder::new(file)),
            length.saturating_mul(DEFLATE_RATIO),
        ),
        Some(Packing::Xz) => (
            Box::new(Guarded(XzReader::new_mem_limit(file, true, XZ_KIB))),
            u64::MAX,
        ),
        Some(Packing::Zip) => return open_zip(path, file),
    };
    Ok(Opened {
        reader,
        packing,
        most,
    })
}

/// Opens the only file in the zip archive `path`.
fn open_zip(path: &Path, file: BufReader<File>) -> Result<Opened, DataError> {
    let wrong = |problem: String| DataError::unusable(path, problem);
    let damaged = |e: &dyn std::fmt::Display| wrong(format!("is a damaged zip archive ({e})"));
    let mut archive = ZipArchive::new(file).map_err(|e| damaged(&e))?;
    let names = archive.file_names();
    let names = names.map(|name| name.map(|name| name.into_owned()));
    let names = names
        .collect::<Result<Vec<String>, _>>()
        .map_err(|e| damaged(&e))?;
    // macOS adds hidden files in a folder of that name.
    let is_data = |name: &&String| !name.ends_with('/') && !name.starts_with("__MACOSX/");
    let data: Vec<&String> = names.iter().filter(is_data).collect();
    let [name] = data[..] else {
        let problem = format!(
            "is a zip archive with {} files: unpack it, and name the folder",
            data.len()
        );
        return Err(wrong(problem));
    };
    let entry = archive.by_name(name).map_err(|e| damaged(&e))?;
    let method = entry.compression();
    let (crc, packed, declared) = (entry.crc32(), entry.compressed_size(), entry.size());
    let at = entry
        .data_start()
        .ok_or_else(|| damaged(&"no beginning of its file"))?;
    if entry.encrypted() {
        return Err(wrong("is an encrypted zip archive: unpack it".to_string()));
    }
    drop(entry);
    let mut file = archive.into_inner();
    file.seek(SeekFrom::Start(at))
        .map_err(|source| DataError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    let file = file.take(packed);
    let content: Box<dyn Read> = match method {
        CompressionMethod::Stored => Box::new(file),
        CompressionMethod::Deflated => Box::new(DeflateDecoder::new(file)),
        other => {
            let problem = format!(
                "is a zip archive packed by {other}, which is not read: pack it by deflate"
            );
            return Err(wrong(problem));
        }
    };
    Ok(Opened {
        reader: Box::new(Checked::new(content, crc)),
        packing: Some(Packing::Zip),
        most: declared.min(packed.saturating_mul(DEFLATE_RATIO)),
    })
}

/// A decoder whose panics are errors.
struct Guarded<R>(R);

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        guarded(|| self.0.read(buffer))
            .unwrap_or_else(|message| Err(io::Error::new(ErrorKind::InvalidData, message)))
    }
}

/// Compares the content with its checksum when it ends.
struct Checked {
    content: Box<dyn Read>,
    sum: crc32fast::Hasher,
    wanted: u32,
}

impl Checked {
    fn new(content: Box<dyn Read>, wanted: u32) -> Checked {
        Checked {
            content,
            sum: crc32fast::Hasher::new(),
            wanted,
        }
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.sum.update(&buffer[..read]);
        let at_end = read == 0 && !buffer.is_empty();
        match at_end && self.sum.clone().finalize() != self.wanted {
            true => Err(io::Error::new(
                ErrorKind::InvalidData,
                "its checksum does not match",
            )),
            false => Ok(read),
        }
    }
}

/// The name of a file without the extension that says how it is compressed: `a.csv` of `a.csv.gz`.
pub(super) fn unpacked_name(path: &Path) -> Cow<'_, Path> {
    match ENDINGS.iter().any(|ending| has_own_ending(path, ending)) {
        true => Cow::Owned(path.with_extension("")),
        false => Cow::Borrowed(path),
    }
}

/// Whether the name of `path` ends in a dot and `ending`, and perhaps an extension of compressed files, ignoring case.
pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    has_own_ending(&unpacked_name(path), ending)
}

fn has_own_ending(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// The name of `path` without its extensions, in lower case: `train` of `Train.csv.gz`.
pub(super) fn stem(path: &Path) -> String {
    let name: PathBuf = unpacked_name(path).into_owned();
    let stem = name.file_stem().unwrap_or_default();
    stem.to_string_lossy().to_lowercase()
}

/// The error of reading or unpacking the content of `path`.
pub(super) fn read_error(source: io::Error, path: &Path, packing: Option<Packing>) -> DataError {
    let path = path.to_owned();
    match packing {
        Some(packing) => DataError::Damaged {
            path,
            packing: packing.name(),
            source,
        },
        None => DataError::Unreadable { path, source },
    }
}
