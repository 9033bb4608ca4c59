//! Compressed files: gzip, xz, and zip archives that hold one file. Their content is read as it is unpacked.

use super::DataError;
use crate::guard::guarded;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use lzma_rust2::XzReader;
use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
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
    let packing = Packing::of(&start);
    if packing == Some(Packing::Zip) {
        return open_zip(path, BufReader::with_capacity(BUFFER, file));
    }
    // A pipe can't be read again from its beginning.
    let file = Cursor::new(start).chain(BufReader::with_capacity(BUFFER, file));
    let (reader, most): (Box<dyn Read>, u64) = match packing {
        Some(Packing::Gzip) => (
            Box::new(MultiGzDecoder::new(file)),
            length.saturating_mul(DEFLATE_RATIO),
        ),
        Some(Packing::Xz) => (
            Box::new(Guarded(XzReader::new_mem_limit(file, true, XZ_KIB))),
            u64::MAX,
        ),
        Some(Packing::Zip) | None => (Box::new(file), length),
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
    let names = file_names(&archive);
    let [name] = &names[..] else {
        let problem = format!(
            "is a zip archive with {} files: unpack it, and name the folder",
            names.len()
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

/// The names of the files in an archive, without the hidden ones that macOS adds.
fn file_names<R>(archive: &ZipArchive<R>) -> Vec<String>
where
    R: Read + Seek,
{
    let names = archive.file_names().flatten();
    let names = names.filter(|name| !name.ends_with('/') && !name.starts_with("__MACOSX/"));
    names.map(|name| name.into_owned()).collect()
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

/// The name of a file without the extension that says how it is compressed: `a.csv` of `a.csv.gz`, and of `a.zip` if it holds that
/// file alone.
pub(super) fn unpacked_name(path: &Path) -> Cow<'_, Path> {
    if !ENDINGS.iter().any(|ending| has_own_ending(path, ending)) {
        return Cow::Borrowed(path);
    }
    let name = path.with_extension("");
    match name.extension().is_none() && has_own_ending(path, "zip") {
        true => Cow::Owned(only_name(path).map_or(name, |only| path.with_file_name(only))),
        false => Cow::Owned(name),
    }
}

/// The name of the only file in a zip archive, without its folder.
fn only_name(path: &Path) -> Option<OsString> {
    let archive = ZipArchive::new(BufReader::new(File::open(path).ok()?)).ok()?;
    match &file_names(&archive)[..] {
        [only] => Path::new(only).file_name().map(OsString::from),
        _ => None,
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::write::SimpleFileOptions;

    /// `text` compressed by gzip.
    pub fn gzipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// `printf 'a,b\n1,2\n' | xz`.
    const XZ: &[u8] = b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\x07a,b\x0a1,2\x0a\x00\xbe\x9c\xbdI\xb5\x12*\xfe\x00\x01 \x08\xbb\x19\xd9\xbb\x1f\xb6\xf3}\x01\x00\x00\x00\x00\x04YZ";

    fn read(path: &Path) -> Result<Vec<u8>, String> {
        super::super::files::read_whole(path).map_err(|e| e.to_string())
    }

    #[test]
    fn files_are_unpacked_whatever_they_are_called() {
        let dir = tempfile::tempdir().unwrap();
        let text = b"a,b\n1,2\n";
        let zip = zipped(&[("__MACOSX/._a.csv", b"x"), ("folder/a.csv", text)]);
        for (name, bytes) in [
            ("a.csv", text.to_vec()),
            ("b.csv.gz", gzipped(text)),
            ("c.csv.xz", XZ.to_vec()),
            ("d.csv.zip", zip.clone()),
            ("e.csv", gzipped(text)),
            ("f.zip", zip),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read(&path).unwrap(), text, "{name}");
            assert!(has_ending(&path, "CSV"), "{name}");
            if bytes != text {
                // A file cut short or with another byte is not unpacked.
                std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
                let message = read(&path).unwrap_err();
                assert!(
                    message.contains("damaged") && message.contains(name),
                    "{message}"
                );
            }
        }
        let names = dir.path().join("classes.txt");
        std::fs::write(&names, gzipped(b"no\nyes\n")).unwrap();
        let names = super::super::files::class_names(&names).unwrap();
        assert_eq!(names, ["no", "yes"]);
        assert_eq!(stem(Path::new("x/Train.csv.GZ")), "train");
        let several = dir.path().join("g.zip");
        std::fs::write(&several, zipped(&[("a.csv", text), ("b.csv", text)])).unwrap();
        assert!(read(&several).unwrap_err().contains("with 2 files"));
        assert!(!has_ending(&several, "csv"));
    }

    #[test]
    fn what_unpacks_to_more_than_the_free_memory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let zeros = vec![0; 64 << 20];
        for (name, bytes) in [
            ("a.gz", gzipped(&zeros)),
            ("b.zip", zipped(&[("b", &zeros)])),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let message =
                crate::host_memory::tests::with_free(8 << 20, || read(&path).unwrap_err());
            assert!(message.contains("GiB of memory, but only"), "{message}");
        }
    }
}
