//! Reading the pictures of a source: all of them into memory or, where they are more than the memory limit, once to measure them.

use super::picture_files::{check_pixels, read_pictures};
use crate::data::on_disk::{PictureFiles, Reading, decoding_threads};
use crate::data::{ByteCount, DataSettings, FieldValues, PictureShape, Survey};
use crate::error::{Error, Result};
use crate::host_memory;
use std::path::{Path, PathBuf};

/// Size limit for pixels in memory, in bytes.
const MOST_PIXELS: u64 = 16 << 30;
/// Pixels that take a larger share than one of this many of the free memory stay on disk: while a set goes to a device that computes
/// in the host's memory, its pixels exist as they were read, packed into words, and on the device.
const SHARE: u64 = 3;
/// Memory for what is known of each file of a source on disk.
const FILE_BYTES: u64 = 512;

/// Reads the pictures of a source, part by part.
pub(super) struct PictureReader {
    reading: Reading,
    place: Place,
    count: usize,
    survey: Survey,
}

/// Fails if `count` images with masks are over a memory limit that is set.
pub(super) fn check_limit(
    count: usize,
    shape: PictureShape,
    settings: &DataSettings,
) -> Result<()> {
    let PictureShape {
        height,
        width,
        channels,
        ..
    } = shape;
    let pixels = (height * width) as u64;
    let bytes = ByteCount(pixels * (channels as u64 + 1) * count as u64);
    match settings.memory_limit {
        Some(limit) if bytes > limit => Err(Error::Config(format!(
            "{count} images of {height} x {width} with masks are {bytes}, over data.memory_limit ({limit}), and images with masks are \
             always read into memory: leave out that setting, or make data.size smaller"
        ))),
        _ => Ok(()),
    }
}

/// Where the pixels are after reading.
enum Place {
    Memory,
    /// On disk, because all pixels are more than `limit`; `is_default` if no setting says so. As many pictures are kept in memory as
    /// `room` allows.
    Disk {
        limit: u64,
        is_default: bool,
        room: usize,
    },
}

impl PictureReader {
    /// A reader of all `count` pictures of a source in the given shape, with inverted brightness if `inverted`.
    ///
    /// # Errors
    /// If they are more than the memory limit and may not be streamed, or what is known of their files does not fit the free memory.
    pub fn new(
        count: usize,
        shape: PictureShape,
        settings: &DataSettings,
        inverted: bool,
    ) -> Result<PictureReader> {
        let reading = Reading {
            shape,
            inverted,
            keep: 0,
        };
        let each = reading.picture_bytes() as u64;
        let bytes = each.saturating_mul(count as u64);
        let set = settings.memory_limit.map(|limit| limit.0);
        let free = || host_memory::share(bytes, SHARE).unwrap_or(u64::MAX);
        let limit = set.unwrap_or_else(free).min(MOST_PIXELS);
        let stays = settings.stream == Some(false);
        let mut reader = PictureReader {
            reading,
            place: Place::Memory,
            count,
            survey: Survey::default(),
        };
        if bytes <= limit || stays && set.is_none() {
            return Ok(reader);
        }
        reader.place = Place::Disk {
            limit,
            is_default: set.is_none(),
            room: usize::try_from(limit / each.max(1)).unwrap_or(usize::MAX),
        };
        if stays {
            return Err(Error::Config(format!(
                "{}, and data.stream = false wants all of them on the device: leave out one of the two settings",
                reader.over_limit().unwrap_or_default()
            )));
        }
        let threads = decoding_threads() as u64;
        check_pixels((count as u64 * FILE_BYTES).saturating_add(threads.saturating_mul(each)))?;
        Ok(reader)
    }

    /// Reads `files` and passes each to `take`, in order, with its rows and columns, or the reason why it can't be read. The pixels are
    /// those of the others.
    ///
    /// # Errors
    /// If there are too many for memory, or the error of `take`.
    pub fn read(
        &mut self,
        files: &[PathBuf],
        mut take: impl FnMut(&Path, Result<[usize; 2], String>) -> Result<()>,
    ) -> Result<FieldValues> {
        if let Place::Disk { room, .. } = &mut self.place {
            let reading = Reading {
                keep: *room,
                ..self.reading
            };
            let pictures = PictureFiles::measure(files, reading, &mut self.survey, take)?;
            *room -= files.len().min(*room);
            return Ok(FieldValues::Files(pictures));
        }
        let PictureShape {
            height,
            width,
            channels,
            ..
        } = self.reading.shape;
        let mut bytes = Vec::new();
        let all = files.len().saturating_mul(self.reading.picture_bytes());
        read_pictures(
            files,
            self.reading.shape,
            &mut self.survey,
            |path, picture| {
                // Once the number of pictures is known to fit the memory.
                bytes.reserve_exact(all.saturating_sub(bytes.len()));
                let outcome = picture.map(|(pixels, traits)| {
                    bytes.extend_from_slice(&pixels);
                    traits.size()
                });
                take(path, outcome)
            },
        )?;
        if self.reading.inverted {
            bytes.iter_mut().for_each(|byte| *byte = 255 - *byte);
        }
        Ok(FieldValues::Pixels {
            bytes,
            shape: [height, width, channels],
        })
    }

    /// What the files are like that were read.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Where the pictures are, in words, if they stay on disk.
    pub fn in_words(&self) -> Option<String> {
        let Place::Disk { limit, .. } = self.place else {
            return None;
        };
        let threads = match decoding_threads() {
            1 => "1 thread".to_string(),
            threads => format!("{threads} threads"),
        };
        let each = self.reading.picture_bytes() as u64;
        let kept = match limit / each.max(1) {
            0 => String::new(),
            kept => format!(", except for the first {kept}, which are kept"),
        };
        Some(format!(
            "{}: they are decoded as they are needed, by {threads}{kept}",
            self.over_limit()?
        ))
    }

    /// That the pictures are over the limit, as the first part of a sentence.
    fn over_limit(&self) -> Option<String> {
        let Place::Disk {
            limit, is_default, ..
        } = self.place
        else {
            return None;
        };
        let PictureShape { height, width, .. } = self.reading.shape;
        let bytes = self.count.saturating_mul(self.reading.picture_bytes());
        let limit = ByteCount(limit);
        let limit = match is_default {
            true => format!("{limit}, a third of the free memory"),
            false => limit.to_string(),
        };
        Some(format!(
            "{} images of {height} x {width} are {}, over data.memory_limit ({limit})",
            self.count,
            ByteCount(bytes as u64)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Background;
    use crate::data::PictureFit;
    use crate::host_memory::tests::with_free;

    const SHAPE: PictureShape = PictureShape {
        height: 10,
        width: 20,
        channels: 3,
        fit: PictureFit::Crop,
        background: Background([255; 3]),
    };

    /// Whether 100 images of 600 bytes stay on disk.
    fn are_on_disk(limit: Option<u64>, stream: Option<bool>) -> bool {
        let settings = DataSettings {
            memory_limit: limit.map(ByteCount),
            stream,
            ..DataSettings::default()
        };
        let reader = PictureReader::new(100, SHAPE, &settings, false).unwrap();
        reader.in_words().is_some()
    }

    #[test]
    fn images_over_the_limit_or_a_third_of_the_free_memory_stay_on_disk() {
        assert!(are_on_disk(Some(59_999), None) && !are_on_disk(Some(60_000), None));
        assert!(!are_on_disk(None, None));
        with_free(180_000, || assert!(!are_on_disk(None, None)));
        with_free(179_999, || {
            assert!(are_on_disk(None, None) && are_on_disk(None, Some(true)));
            // A set that is put on the device as a whole has to fit the memory.
            assert!(!are_on_disk(None, Some(false)));
        });
    }

    #[test]
    fn images_with_masks_over_a_limit_are_refused() {
        let settings = |limit| DataSettings {
            memory_limit: Some(ByteCount(limit)),
            ..DataSettings::default()
        };
        assert!(check_limit(10, SHAPE, &settings(8_000)).is_ok());
        assert!(check_limit(10, SHAPE, &DataSettings::default()).is_ok());
        let refused = check_limit(10, SHAPE, &settings(7_999)).unwrap_err();
        assert!(refused.to_string().starts_with(
            "10 images of 10 x 20 with masks are 8 kB, over data.memory_limit (8 kB)"
        ));
    }
}
