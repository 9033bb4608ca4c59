//! Shared by formats of images: which files are images, their shape, and reading them.

use crate::data::picture::{
    FileKind, PictureShape, Survey, Traits, decode, file_kind, read_with_traits,
};
use crate::data::source::Tree;
use crate::data::{DataError, DataSettings};
use crate::error::{Error, Result};
use crate::host_memory;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Size limit for the pixels of a part, in bytes.
const MAX_PIXELS: usize = 16 << 30;

/// Pixels that are decoded at a time, in bytes, if that is at least an image for each thread.
const CHUNK_BYTES: usize = 64 << 20;

/// Files that are no images that can be read, counted by their ending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Images of other kinds.
    images: BTreeMap<String, usize>,
    /// Files that are no images.
    others: BTreeMap<String, usize>,
}

impl LeftOut {
    /// Whether `path` is an image that can be read, which is counted if it isn't.
    pub fn is_image(&mut self, path: &Path) -> bool {
        let (counts, ending) = match file_kind(path) {
            FileKind::Image => return true,
            FileKind::OtherImage(ending) => (&mut self.images, ending),
            FileKind::NoImage(ending) => (&mut self.others, ending),
        };
        *counts.entry(ending).or_default() += 1;
        false
    }

    /// Whether there are images of other kinds.
    pub fn has_images(&self) -> bool {
        !self.images.is_empty()
    }

    /// Notes on files that are left out.
    pub fn notes(&self) -> Vec<String> {
        let images = (!self.images.is_empty()).then(|| {
            format!(
                "{} of a kind that is not read ({}): convert them to JPEG or PNG",
                counted(
                    &self.images,
                    "image is left out because it is",
                    "images are left out because they are"
                ),
                listed(&self.images)
            )
        });
        let others = (!self.others.is_empty()).then(|| {
            format!(
                "{} left out ({})",
                counted(
                    &self.others,
                    "file is not an image and is",
                    "files are not images and are"
                ),
                listed(&self.others)
            )
        });
        images.into_iter().chain(others).collect()
    }
}

fn counted(counts: &BTreeMap<String, usize>, one: &str, several: &str) -> String {
    match counts.values().sum() {
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    }
}

/// Endings with their counts, such as "2 .heic, 1 .avif".
fn listed(counts: &BTreeMap<String, usize>) -> String {
    const MOST: usize = 8;
    let mut endings: Vec<(&String, &usize)> = counts.iter().collect();
    endings.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let shown = endings
        .iter()
        .take(MOST)
        .map(|(ending, count)| match ending.is_empty() {
            true => format!("{count} without an ending"),
            false => format!("{count} .{ending}"),
        });
    let mut shown = shown.collect::<Vec<_>>().join(", ");
    if endings.len() > MOST {
        shown += ", …";
    }
    shown
}

/// The image files in `dir` at any depth, sorted: those with the ending of an image, and those whose first bytes are an image's.
///
/// # Errors
/// If a folder can't be read.
pub fn image_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    images_in(dir, &mut LeftOut::default())
}

/// The image files in `dir`, as [`image_files`] gives them; others are counted in `left_out`.
pub(super) fn images_in(dir: &Path, left_out: &mut LeftOut) -> Result<Vec<PathBuf>, DataError> {
    let tree = Tree::of(dir);
    let files = tree.files_below(dir)?.map(|(path, _)| path);
    Ok(files
        .filter(|path| left_out.is_image(path))
        .map(Path::to_owned)
        .collect())
}

/// The shape that `settings` specify; by default the size of the image `first`, in colour.
pub(super) fn shape_for(settings: &DataSettings, first: &Path) -> Result<PictureShape> {
    let channels = settings.channels.unwrap_or(3);
    if channels != 1 && channels != 3 {
        return Err(Error::Config(format!(
            "image files have 1 channel (grey) or 3 (colour), not {channels}; change data.channels or the model's input"
        )));
    }
    let [height, width] = match settings.size {
        Some(size) => size,
        None => {
            let picture = decode(first).map_err(|e| unreadable(first, &e))?;
            [picture.height() as usize, picture.width() as usize]
        }
    };
    Ok(PictureShape {
        height,
        width,
        channels,
        fit: settings.fit,
        background: settings.background,
    })
}

/// The shape that `settings` specify, or else that of the image `first`, grey if it is.
pub(super) fn own_shape(settings: &DataSettings, first: &Path) -> Result<PictureShape> {
    let (size, channels) = match (settings.size, settings.channels) {
        (Some(size), Some(channels)) => (size, channels),
        (size, channels) => {
            let picture = decode(first).map_err(|e| unreadable(first, &e))?;
            let own = [picture.height() as usize, picture.width() as usize];
            let grey = !picture.color().has_color();
            (
                size.unwrap_or(own),
                channels.unwrap_or(if grey { 1 } else { 3 }),
            )
        }
    };
    if channels != 1 && channels != 3 {
        return Err(Error::Config(format!(
            "image files have 1 channel (grey) or 3 (colour), not {channels}; change data.channels or the model's input"
        )));
    }
    Ok(PictureShape {
        height: size[0],
        width: size[1],
        channels,
        fit: settings.fit,
        background: settings.background,
    })
}

pub(super) fn unreadable(path: &Path, why: &str) -> DataError {
    DataError::unusable(
        path,
        format!(
            "can't be read as an image ({why}): remove it, or set data.skip_bad = true to skip such files"
        ),
    )
}

/// Fails if the `bytes` of the pixels of all images exceed the free memory.
pub(super) fn check_pixels(bytes: u64) -> Result<()> {
    let shortage = |needs| format!("the images need {needs}; use fewer, or make data.size smaller");
    host_memory::check(bytes).map_err(|needs| Error::Memory(shortage(needs)))
}

/// Reads images like [`read_picture`](crate::data::read_picture), in parallel, and passes each to `take`, in order, with
/// what its file is like, which is also counted in `survey`.
///
/// # Errors
/// If there are too many for memory, or the error of `take`.
pub(super) fn read_pictures(
    files: &[PathBuf],
    shape: PictureShape,
    survey: &mut Survey,
    mut take: impl FnMut(&Path, Result<(Vec<u8>, Traits), String>) -> Result<()>,
) -> Result<()> {
    let length = shape
        .height
        .saturating_mul(shape.width)
        .saturating_mul(shape.channels);
    if files.len().saturating_mul(length) > MAX_PIXELS {
        return Err(Error::Memory(format!(
            "{} images of {} x {} are over {} GiB of pixels; use fewer, or make data.size smaller",
            files.len(),
            shape.height,
            shape.width,
            MAX_PIXELS >> 30
        )));
    }
    check_pixels(files.len().saturating_mul(length) as u64)?;
    // Images are decoded in chunks to limit memory.
    let threads = rayon::current_num_threads();
    let chunk = (CHUNK_BYTES / length.max(1)).clamp(threads, threads.max(1024));
    for chunk in files.chunks(chunk) {
        let read = |path: &PathBuf| read_with_traits(path, shape);
        let pictures: Vec<_> = chunk.par_iter().map(read).collect();
        for (path, picture) in chunk.iter().zip(pictures) {
            if let Ok((_, traits)) = &picture {
                survey.add(traits);
            }
            take(path, picture)?;
        }
    }
    Ok(())
}
