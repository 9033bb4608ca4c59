//! Pictures whose pixels stay on disk: their files are read once to measure them, and decoded again whenever they are needed.

use super::DataError;
use super::channels::{ChannelStats, ChannelSums};
use super::decoders::Decoders;
use super::picture::{PictureShape, Survey, Traits, read_with_traits};
use crate::error::Result;
use rayon::prelude::*;
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that are measured before the first error among them is reported.
const CHUNK: usize = 1024;
/// Bytes of pictures that decoders hold ahead of a batch, unless one for each thread is more.
const MOST_AHEAD: usize = 64 << 20;
/// Pictures that a decoder holds ahead of a batch, at most.
const MOST_PICTURES_AHEAD: usize = 32;

/// The pictures of samples, whose pixels are decoded from their files when they are needed. As many as the memory limit allows are
/// kept. The samples that are left after splitting share what is known of the files.
#[derive(Clone)]
pub struct PictureFiles {
    files: Arc<Files>,
    /// The file of each sample.
    chosen: Arc<[u32]>,
}

struct Files {
    shape: PictureShape,
    /// Whether brightness is inverted.
    inverted: bool,
    files: Vec<Measured>,
}

/// What is known of a file from the first time that it was decoded.
struct Measured {
    path: PathBuf,
    /// The checksum of the pixels.
    crc32: u32,
    /// Sums of the one or three channels.
    sums: [ChannelSums; 3],
    /// The pixels, if they are kept.
    kept: Option<Arc<[u8]>>,
}

/// The pixels of a picture.
pub(super) enum Decoded {
    Kept(Arc<[u8]>),
    Read(Vec<u8>),
}

impl Decoded {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Decoded::Kept(bytes) => bytes,
            Decoded::Read(bytes) => bytes,
        }
    }
}

/// How the pictures of files are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub shape: PictureShape,
    /// Whether brightness is inverted.
    pub inverted: bool,
    /// How many of the first pictures are kept in memory.
    pub keep: usize,
}

impl Reading {
    /// Bytes of a picture.
    pub fn picture_bytes(&self) -> usize {
        let PictureShape {
            height,
            width,
            channels,
            ..
        } = self.shape;
        height.saturating_mul(width).saturating_mul(channels)
    }

    /// The pixels of `path`, with their brightness inverted if that is asked for.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.read_with_traits(path).map(|(bytes, _)| bytes)
    }

    fn read_with_traits(&self, path: &Path) -> Result<(Vec<u8>, Traits), String> {
        let (mut bytes, traits) = read_with_traits(path, self.shape)?;
        if self.inverted {
            bytes.iter_mut().for_each(|byte| *byte = 255 - *byte);
        }
        Ok((bytes, traits))
    }

    fn measured(&self, place: usize, path: &Path) -> Result<(Measured, Traits), String> {
        let (bytes, traits) = self.read_with_traits(path)?;
        let mut sums = [ChannelSums::default(); 3];
        let channels = ChannelSums::of_pixels(&bytes, self.shape.channels);
        for (sum, channel) in sums.iter_mut().zip(channels) {
            *sum = channel;
        }
        let measured = Measured {
            path: path.to_owned(),
            crc32: crc32fast::hash(&bytes),
            sums,
            kept: (place < self.keep).then(|| bytes.into()),
        };
        Ok((measured, traits))
    }
}

impl PictureFiles {
    /// Decodes `files` in parallel to check and to measure them, and passes each to `take`, in order, with its rows and columns, or the
    /// reason why it can't be read. Those that can are the pictures; what their files are like is counted in `survey`.
    ///
    /// # Errors
    /// The error of `take`.
    pub(super) fn measure(
        files: &[PathBuf],
        reading: Reading,
        survey: &mut Survey,
        mut take: impl FnMut(&Path, Result<[usize; 2], String>) -> Result<()>,
    ) -> Result<PictureFiles> {
        let mut found = Vec::with_capacity(files.len());
        for (chunk, paths) in files.chunks(CHUNK).enumerate() {
            let measured = paths.par_iter().enumerate();
            let measured = measured.map(|(at, path)| reading.measured(chunk * CHUNK + at, path));
            let measured: Vec<Result<(Measured, Traits), String>> = measured.collect();
            for (path, measured) in paths.iter().zip(measured) {
                let outcome = measured.map(|(file, traits)| {
                    survey.add(&traits);
                    found.push(file);
                    traits.size()
                });
                take(path, outcome)?;
            }
        }
        Ok(PictureFiles {
            chosen: (0..found.len() as u32).collect(),
            files: Arc::new(Files {
                shape: reading.shape,
                inverted: reading.inverted,
                files: found,
            }),
        })
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// Height, width and channels.
    pub fn shape(&self) -> [usize; 3] {
        let shape = self.files.shape;
        [shape.height, shape.width, shape.channels]
    }

    /// Bytes of the pixels of all pictures.
    pub fn bytes(&self) -> usize {
        self.len().saturating_mul(self.reading().picture_bytes())
    }

    fn reading(&self) -> Reading {
        Reading {
            shape: self.files.shape,
            inverted: self.files.inverted,
            keep: 0,
        }
    }

    fn measured(&self) -> impl Iterator<Item = &Measured> + Clone {
        self.chosen.iter().map(|&at| &self.files.files[at as usize])
    }

    /// The pixels of picture `index`, `[height, width, channels]`.
    ///
    /// # Errors
    /// If the file can't be read any more, or holds another picture than before.
    ///
    /// # Panics
    /// If there is no picture `index`.
    pub fn picture(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        let file = &self.files.files[self.chosen[index] as usize];
        Ok(match &file.kept {
            Some(kept) => Cow::Borrowed(kept),
            None => Cow::Owned(self.decoded(file)?),
        })
    }

    /// Decodes a file again.
    fn decoded(&self, file: &Measured) -> Result<Vec<u8>, DataError> {
        let changed = |what: String| {
            let problem = format!("{what}: restore the file as it was");
            DataError::unusable(&*file.path, problem)
        };
        let bytes = self
            .reading()
            .read(&file.path)
            .map_err(|why| changed(format!("can no longer be read as an image ({why})")))?;
        match crc32fast::hash(&bytes) == file.crc32 {
            true => Ok(bytes),
            false => Err(changed(
                "holds another image than when the data were first read".to_string(),
            )),
        }
    }

    /// Starts threads that decode the pictures of the samples `order`, in that order.
    pub(super) fn decoders(&self, order: Arc<[u32]>) -> Decoders<Result<Decoded, DataError>> {
        let threads = decoding_threads();
        let room = MOST_AHEAD / self.reading().picture_bytes().max(1) / threads;
        let all = self.clone();
        Decoders::start(
            order,
            threads,
            room.clamp(1, MOST_PICTURES_AHEAD),
            move |index| {
                let file = &all.files.files[all.chosen[index as usize] as usize];
                match &file.kept {
                    Some(kept) => Ok(Decoded::Kept(kept.clone())),
                    None => all.decoded(file).map(Decoded::Read),
                }
            },
        )
    }

    /// The pictures at `kept`.
    pub(super) fn kept(&self, kept: &[usize]) -> PictureFiles {
        PictureFiles {
            files: self.files.clone(),
            chosen: kept.iter().map(|&index| self.chosen[index]).collect(),
        }
    }

    /// The statistics of all pixels, from those of each file.
    pub(super) fn channel_stats(&self) -> ChannelStats {
        let [height, width, channels] = self.shape();
        let mut sums = [ChannelSums::default(); 3];
        for file in self.measured() {
            for (sum, of_file) in sums.iter_mut().zip(file.sums) {
                sum.add(of_file);
            }
        }
        let count = (self.len() * height * width) as u64;
        ChannelStats::of_sums(&sums[..channels.min(3)], count)
    }

    /// The checksum and the length of the pixels of each picture.
    pub(super) fn checksums(&self) -> impl Iterator<Item = (u32, u64)> + Clone {
        let each = self.reading().picture_bytes() as u64;
        self.measured().map(move |file| (file.crc32, each))
    }
}

/// Number of threads that decode pictures.
pub fn decoding_threads() -> usize {
    rayon::current_num_threads()
}

impl fmt::Debug for PictureFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files of {:?}", self.len(), self.shape())
    }
}

/// Pictures are equal if their pixels are, by their checksums.
impl PartialEq for PictureFiles {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.checksums().eq(other.checksums())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::PictureFit;
    use image::{Rgb, RgbImage};
    use std::fs;

    const SHAPE: PictureShape = PictureShape {
        height: 2,
        width: 3,
        channels: 3,
        fit: PictureFit::Crop,
        background: crate::data::Background([255; 3]),
    };

    fn reading(keep: usize) -> Reading {
        Reading {
            shape: SHAPE,
            inverted: false,
            keep,
        }
    }

    /// Files of one colour each, of which the third is damaged.
    fn files(dir: &Path) -> Vec<PathBuf> {
        let file = |at: u8| {
            let path = dir.join(format!("{at}.png"));
            RgbImage::from_pixel(3, 2, Rgb([at, 2 * at, 255 - at]))
                .save(&path)
                .unwrap();
            path
        };
        let files: Vec<PathBuf> = (0..6).map(file).collect();
        fs::write(&files[2], "no picture").unwrap();
        files
    }

    fn measured(dir: &Path, keep: usize) -> (PictureFiles, Vec<String>) {
        let mut bad = Vec::new();
        let take = |path: &Path, outcome: Result<[usize; 2], String>| {
            bad.extend(outcome.err().map(|_| path.display().to_string()));
            Ok(())
        };
        let found = PictureFiles::measure(&files(dir), reading(keep), &mut Survey::default(), take)
            .unwrap();
        (found, bad)
    }

    #[test]
    fn pictures_are_those_of_the_readable_files_and_have_their_statistics() {
        let dir = tempfile::tempdir().unwrap();
        let (found, bad) = measured(dir.path(), 0);
        assert_eq!((found.len(), bad.len()), (5, 1));
        assert!(bad[0].ends_with("2.png"));
        assert_eq!(found.picture(2).unwrap()[..3], [3, 6, 252]);
        let kept = found.kept(&[4, 0]);
        assert_eq!(kept.picture(0).unwrap()[..3], [5, 10, 250]);
        let pixels: Vec<u8> = (0..kept.len())
            .flat_map(|at| kept.picture(at).unwrap().into_owned())
            .collect();
        assert_eq!(kept.channel_stats(), ChannelStats::of_pixels(&pixels, 3));
        assert!(kept == found.kept(&[4, 0]) && kept != found.kept(&[0, 4]));
    }

    #[test]
    fn brightness_is_inverted_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let reading = Reading {
            inverted: true,
            ..reading(0)
        };
        let found = PictureFiles::measure(
            &files(dir.path())[..1],
            reading,
            &mut Survey::default(),
            |_, _| Ok(()),
        )
        .unwrap();
        assert_eq!(found.picture(0).unwrap()[..3], [255, 255, 0]);
    }

    #[test]
    fn a_file_that_changed_or_vanished_is_named_unless_its_pixels_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (found, _) = measured(dir.path(), 1);
        fs::remove_file(dir.path().join("0.png")).unwrap();
        fs::remove_file(dir.path().join("1.png")).unwrap();
        fs::copy(dir.path().join("4.png"), dir.path().join("3.png")).unwrap();
        assert_eq!(found.picture(0).unwrap()[..3], [0, 0, 255]);
        for (index, file, what) in [
            (1, "1.png", "can no longer be read"),
            (2, "3.png", "another"),
        ] {
            let message = found.picture(index).unwrap_err().to_string();
            assert!(
                message.contains(file) && message.contains(what),
                "{message}"
            );
        }
        let mut decoders = found.decoders([0, 3, 1, 4].into());
        let outcomes = std::iter::from_fn(|| decoders.next());
        let first: Vec<Option<u8>> = outcomes
            .map(|outcome| outcome.ok().map(|pixels| pixels.bytes()[0]))
            .collect();
        assert_eq!(first, [Some(0), Some(4), None, Some(5)]);
    }
}
