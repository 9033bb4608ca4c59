//! What kind of file it is, by its first bytes and by the ending of its name.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Number of bytes from which [`kind`] tells the kind of a file.
const HEAD: u64 = 32;
/// Endings of image files that are read.
const ENDINGS: [&str; 20] = [
    "png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "qoi", "tga", "pnm", "ppm", "pgm",
    "pbm", "pam", "jfif", "jpe", "jif", "apng", "dib",
];
/// Endings of images that are not read. Some of their files begin as TIFF files do.
const OTHER_ENDINGS: [&str; 32] = [
    "heic", "heif", "hif", "avif", "jxl", "jp2", "j2k", "jpx", "jxr", "psd", "svg", "ico", "exr",
    "hdr", "dds", "xcf", "raw", "cr2", "cr3", "nef", "nrw", "arw", "srf", "sr2", "dng", "orf",
    "rw2", "raf", "pef", "x3f", "dcm", "nii",
];
/// Endings of files that are no images, whatever their first bytes are.
const NO_IMAGES: [&str; 36] = [
    "txt",
    "csv",
    "tsv",
    "json",
    "jsonl",
    "xml",
    "yaml",
    "yml",
    "toml",
    "md",
    "rst",
    "html",
    "htm",
    "py",
    "ipynb",
    "m",
    "sh",
    "npy",
    "npz",
    "mat",
    "pkl",
    "pt",
    "h5",
    "parquet",
    "bin",
    "gz",
    "zip",
    "tar",
    "db",
    "ini",
    "log",
    "pdf",
    "mp4",
    "wav",
    "mp3",
    "safetensors",
];

/// A kind of image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Kind {
    /// An image that is read.
    Readable,
    /// An image of another kind, by its name.
    Other(&'static str),
}

/// The kind of image that begins with the bytes `head`; `None` if they are not known.
pub(in crate::data) fn kind(head: &[u8]) -> Option<Kind> {
    let has = |at: usize, bytes: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    let readable = has(0, b"\x89PNG\r\n\x1a\n")
        || has(0, b"\xFF\xD8\xFF")
        || has(0, b"GIF87a")
        || has(0, b"GIF89a")
        || has(0, b"RIFF") && has(8, b"WEBP")
        || has(0, b"II*\0")
        || has(0, b"MM\0*")
        || has(0, b"qoif")
        // The size of the header, which follows the marks of a BMP file.
        || has(0, b"BM") && matches!(head.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
        || matches!(head, [b'P', b'1'..=b'7', b'\n', b'0'..=b'9' | b'#' | b'W', ..]);
    if readable {
        return Some(Kind::Readable);
    }
    let name = match head.get(4..12) {
        Some(b"ftypavif" | b"ftypavis") => "AVIF",
        Some(b"ftypheic" | b"ftypheix" | b"ftyphevc" | b"ftypheim" | b"ftypmif1" | b"ftypmsf1") => {
            "HEIC"
        }
        Some(b"ftypcrx ") => "a raw photo (CR3)",
        Some([b'J', b'X', b'L', b' ', ..]) => "JPEG XL",
        Some([b'j', b'P', b' ', b' ', ..]) => "JPEG 2000",
        _ if has(0, b"\xFF\x0A") => "JPEG XL",
        _ if has(0, b"8BPS") => "a Photoshop file",
        _ if has(0, b"\x76\x2F\x31\x01") => "OpenEXR",
        _ if has(0, b"DDS ") => "DDS",
        _ => return None,
    };
    Some(Kind::Other(name))
}

/// What a file in a folder of images is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::data) enum FileKind {
    /// An image that can be read, by its ending or its first bytes.
    Image,
    /// An image of another kind, with its ending.
    OtherImage(String),
    /// No image, with its ending.
    NoImage(String),
}

/// What the file `path` is. The first bytes are read where the ending does not tell.
pub(in crate::data) fn file_kind(path: &Path) -> FileKind {
    let ending = ending(path);
    match &*ending {
        known if ENDINGS.contains(&known) => FileKind::Image,
        known if OTHER_ENDINGS.contains(&known) => FileKind::OtherImage(ending),
        known if NO_IMAGES.contains(&known) => FileKind::NoImage(ending),
        _ => match kind(&head(path)) {
            Some(Kind::Readable) => FileKind::Image,
            Some(Kind::Other(_)) => FileKind::OtherImage(ending),
            None => FileKind::NoImage(ending),
        },
    }
}

/// Whether a file has the ending of an image that is read.
pub(in crate::data) fn has_image_ending(path: &Path) -> bool {
    ENDINGS.contains(&&*ending(path))
}

/// The endings of images that are read.
pub(in crate::data) fn image_endings() -> &'static [&'static str] {
    &ENDINGS
}

/// The ending of the name of `path`, in lower case.
fn ending(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default();
    ending.to_string_lossy().to_ascii_lowercase()
}

/// The first bytes of a file; none if it can't be read.
fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A pipe without a writer would never end.
    if path.is_file()
        && let Ok(file) = File::open(path)
    {
        let _ = file.take(HEAD).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::picture::tests::fixture;
    use std::fs;

    #[test]
    fn first_bytes_tell_the_kind() {
        for name in [
            "key.png",
            "cmyk.jpg",
            "moving.gif",
            "rgba.webp",
            "pages.tiff",
        ] {
            let bytes = fs::read(fixture(name)).unwrap();
            assert_eq!(kind(&bytes), Some(Kind::Readable), "{name}");
        }
        let avif = fs::read(fixture("green.avif")).unwrap();
        assert_eq!(kind(&avif), Some(Kind::Other("AVIF")));
        let texts: [&[u8]; 5] = [
            b"",
            b"BMI of patients, in kg",
            b"P2 is a gene",
            b"II. Methods",
            b"ftyp",
        ];
        for text in texts {
            assert_eq!(kind(text), None);
        }
    }

    #[test]
    fn names_without_a_known_ending_are_read_by_their_first_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str, content: &str| {
            let path = dir.path().join(name);
            fs::copy(fixture(content), &path).unwrap();
            file_kind(&path)
        };
        assert_eq!(of("0001", "key.png"), FileKind::Image);
        assert_eq!(of("photo.jpg_large", "cmyk.jpg"), FileKind::Image);
        assert_eq!(of("IMG_1.JPG", "cmyk.jpg"), FileKind::Image);
        // A raw photo is a TIFF file with a small preview.
        assert_eq!(
            of("1.DNG", "pages.tiff"),
            FileKind::OtherImage("dng".into())
        );
        assert_eq!(
            of("2.bits", "green.avif"),
            FileKind::OtherImage("bits".into())
        );
        assert_eq!(of("3.txt", "key.png"), FileKind::NoImage("txt".into()));
        assert_eq!(
            file_kind(&dir.path().join("none")),
            FileKind::NoImage(String::new())
        );
    }
}
