//! What the image files of a data set are like, in words.

use super::background::Background;
use super::frames::Frames;
use super::traits::Traits;
use std::collections::BTreeMap;

/// Images whose largest value of 16 bits is below this are called dark.
const DARK: u16 = 1 << 14;

/// Counts of what image files are like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    count: usize,
    sizes: BTreeMap<[u32; 2], usize>,
    grey: usize,
    turned: usize,
    transparent: usize,
    vanishing: usize,
    animated: usize,
    paged: usize,
    deep: usize,
    deepest: u16,
}

impl Survey {
    /// Counts an image.
    pub(in crate::data) fn add(&mut self, traits: &Traits) {
        self.count += 1;
        *self.sizes.entry([traits.width, traits.height]).or_default() += 1;
        self.grey += usize::from(traits.grey);
        self.turned += usize::from(traits.is_turned);
        self.transparent += usize::from(traits.is_transparent);
        self.vanishing += usize::from(traits.vanishes);
        self.animated += usize::from(traits.frames == Frames::Animation);
        self.paged += usize::from(traits.frames == Frames::Pages);
        self.deep += usize::from(traits.largest.is_some());
        self.deepest = self.deepest.max(traits.largest.unwrap_or(0));
    }

    /// Lines on what was found: the number of images, their sizes, and whether they have colours.
    pub fn found(&self) -> Vec<String> {
        if self.count == 0 {
            return Vec::new();
        }
        let mut lines = vec![format!(
            "{}, {}, {}",
            images(self.count),
            self.sizes_in_words(),
            self.colours_in_words()
        )];
        if self.turned > 0 {
            lines.push(format!(
                "{} turned by the EXIF orientation",
                are(self.turned)
            ));
        }
        if self.deep > 0 && self.deepest >= DARK {
            lines.push(format!(
                "{} 16 bits per channel, of which 8 are kept (value / 257)",
                have(self.deep)
            ));
        }
        lines
    }

    /// Notes on what may surprise: transparent images on `background`, animations, and values of 16 bits that are all small.
    pub fn notes(&self, background: Background) -> Vec<String> {
        let mut notes = Vec::new();
        if self.transparent > 0 {
            let (verb, they) = match self.transparent {
                1 => ("is", "it is"),
                _ => ("are", "they are"),
            };
            notes.push(format!(
                "{} of {} {verb} transparent: {they} put on {background} (data.background)",
                self.transparent,
                images(self.count),
            ));
        }
        if self.vanishing > 0 {
            notes.push(format!(
                "{} transparent and a single colour on {background}: set data.background to a colour on which they are seen",
                are(self.vanishing)
            ));
        }
        if self.animated > 0 {
            notes.push(format!(
                "{} animated: only the first frame is read",
                are(self.animated)
            ));
        }
        if self.paged > 0 {
            notes.push(format!(
                "{} several pages: only the first is read",
                have(self.paged)
            ));
        }
        if self.deep > 0 && self.deepest < DARK {
            notes.push(format!(
                "{} 16 bits per channel but no value above {} of 65535: they are dark, so scale their values before",
                have(self.deep),
                self.deepest
            ));
        }
        notes
    }

    fn sizes_in_words(&self) -> String {
        let area = |size: &&[u32; 2]| u64::from(size[0]) * u64::from(size[1]);
        let words = |[width, height]: &[u32; 2]| format!("{width} x {height}");
        let smallest = self.sizes.keys().min_by_key(area);
        let largest = self.sizes.keys().max_by_key(area);
        let most = self.sizes.iter().max_by_key(|(_, count)| **count);
        match (smallest, largest, most) {
            (Some(smallest), Some(largest), Some((usual, count))) if self.sizes.len() > 1 => {
                let often = match count {
                    1 => String::new(),
                    _ => format!(", most often {} ({count})", words(usual)),
                };
                format!(
                    "{} different sizes from {} to {} pixels, width x height{often}",
                    self.sizes.len(),
                    words(smallest),
                    words(largest)
                )
            }
            (Some(size), ..) => format!("all {} pixels, width x height", words(size)),
            _ => "no size".to_string(),
        }
    }

    fn colours_in_words(&self) -> String {
        match (self.grey, self.count - self.grey) {
            (0, _) => "in colour".to_string(),
            (_, 0) => "grey".to_string(),
            (grey, colour) => format!("{colour} in colour and {grey} grey"),
        }
    }
}

fn images(count: usize) -> String {
    match count {
        1 => "1 image".to_string(),
        _ => format!("{count} images"),
    }
}

fn are(count: usize) -> String {
    match count {
        1 => "1 image is".to_string(),
        _ => format!("{count} images are"),
    }
}

fn have(count: usize) -> String {
    match count {
        1 => "1 image has".to_string(),
        _ => format!("{count} images have"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(files: &[Traits]) -> Survey {
        let mut survey = Survey::default();
        files.iter().for_each(|traits| survey.add(traits));
        survey
    }

    #[test]
    fn sizes_and_colours_are_told_in_a_line() {
        let sized = |width, height, grey| Traits {
            width,
            height,
            grey,
            ..Traits::default()
        };
        let one = sized(4, 3, true);
        assert_eq!(
            survey(&[one]).found(),
            ["1 image, all 4 x 3 pixels, width x height, grey"]
        );
        let (small, large) = (sized(2, 1, false), sized(8, 9, false));
        assert_eq!(
            survey(&[one, small, one, large]).found(),
            [
                "4 images, 3 different sizes from 2 x 1 to 8 x 9 pixels, width x height, most often 4 x 3 (2), 2 in colour and 2 grey"
            ]
        );
        assert!(Survey::default().found().is_empty());
    }

    #[test]
    fn what_may_surprise_is_counted() {
        let plain = Traits::default();
        let notes = survey(&[
            plain,
            Traits {
                is_transparent: true,
                ..plain
            },
            Traits {
                frames: Frames::Animation,
                ..plain
            },
            Traits {
                frames: Frames::Pages,
                largest: Some(4095),
                ..plain
            },
        ])
        .notes(Background::default());
        assert_eq!(
            notes,
            [
                "1 of 4 images is transparent: it is put on white (data.background)",
                "1 image is animated: only the first frame is read",
                "1 image has several pages: only the first is read",
                "1 image has 16 bits per channel but no value above 4095 of 65535: they are dark, so scale their values before",
            ]
        );
        let deep = Traits {
            largest: Some(60_000),
            is_turned: true,
            ..plain
        };
        let found = survey(&[deep, deep]);
        assert!(found.notes(Background::default()).is_empty());
        assert_eq!(
            found.found()[1..],
            [
                "2 images are turned by the EXIF orientation",
                "2 images have 16 bits per channel, of which 8 are kept (value / 257)"
            ]
        );
    }
}
