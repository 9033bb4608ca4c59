//! Samples of any kind as named fields, and the sets from which readers make them.

use super::field::{self, Field, FieldValues};
use super::{
    ChannelStats, DataError, GroupColumn, ImageSet, PADDING, SampleName, SampleNames, Tiles,
};
use std::borrow::Cow;

/// The samples of one part of a data set: named fields with the same number of samples each.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// Number of samples.
    count: usize,
    /// The fields; the first is the model's input unless a task says otherwise.
    fields: Vec<Field>,
    /// Where samples begin in the rows, for windows.
    starts: Option<Starts>,
    /// What they are called, if the reader of the format knows.
    names: Option<SampleNames>,
    /// The text to predict for each sample, as it is in the data.
    references: Option<Vec<String>>,
    /// The images that samples are tiles of, if they are.
    tiles: Option<Tiles>,
    /// The columns that divide them into groups.
    groups: Vec<GroupColumn>,
}

/// Where samples begin in rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Starts {
    /// First row of each sample.
    pub first: Vec<u32>,
    /// Whether shuffled training draws as many random starts anew every epoch instead.
    pub anywhere: bool,
    /// Rows from the first of a sample to the last that any of its fields needs.
    pub span: usize,
    /// Total number of rows.
    pub rows: usize,
}

/// The images of samples, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    /// Bytes of all images, channels fastest.
    pub bytes: &'a [u8],
    /// Height, width and channels.
    pub shape: [usize; 3],
}

impl<'a> Pictures<'a> {
    /// Bytes of one image.
    ///
    /// # Panics
    /// If there is no image `index`.
    pub fn picture(&self, index: usize) -> &'a [u8] {
        let each = self.shape.iter().product::<usize>();
        &self.bytes[index * each..][..each]
    }
}

impl<'a> From<&'a ImageSet> for Pictures<'a> {
    fn from(set: &'a ImageSet) -> Self {
        Pictures {
            bytes: &set.images,
            shape: [set.height, set.width, set.channels],
        }
    }
}

/// Samples that are windows of consecutive rows: sample i is the rows `starts[i] .. starts[i] + length`.
#[derive(Clone, Debug, PartialEq)]
pub struct RowSet {
    /// The rows of all samples.
    pub rows: WindowRows,
    /// First row of each sample.
    pub starts: Vec<u32>,
    /// Whether shuffled training draws as many random starts anew every epoch instead of using
    /// `starts`.
    pub random_starts: bool,
    /// Rows per sample; 1 for tables.
    pub length: usize,
    /// The targets.
    pub targets: Targets,
}

/// The rows from which samples are windows.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowRows {
    /// Numbers, `[rows, columns]`.
    Floats {
        /// Row after row.
        values: Vec<f32>,
        /// Numbers per row.
        columns: usize,
    },
    /// Tokens of a text; 0 is padding.
    Tokens {
        /// One after another.
        tokens: Vec<u32>,
        /// Size of the vocabulary, including padding.
        vocabulary: usize,
    },
}

/// The target of each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// None: samples are their inputs alone.
    None,
    /// One class index for each sample.
    Classes(Vec<u32>),
    /// Whether each sample has each of several labels.
    Labels {
        /// As the field [`field::LABELS`] has them, sample after sample.
        values: Vec<f32>,
        /// Number of labels.
        labels: usize,
    },
    /// The next token after each token of the sample.
    NextToken,
    /// The numbers of `length` rows, beginning with row `start + offset`.
    Values {
        /// Numbers of every row, `[rows, columns]`: as many rows as the samples are windows of.
        values: Vec<f32>,
        /// Numbers of a row.
        columns: usize,
        /// Rows from the first of the sample to the first of the target.
        offset: usize,
        /// Rows of a target.
        length: usize,
    },
}

impl Samples {
    /// Samples with these fields, of `count` samples each, and `starts` if some are windows of rows.
    pub fn new(count: usize, fields: Vec<Field>, starts: Option<Starts>) -> Samples {
        Samples {
            count,
            fields,
            starts,
            names: None,
            references: None,
            tiles: None,
            groups: Vec::new(),
        }
    }

    /// The same samples with columns that divide them into groups.
    #[must_use]
    pub fn with_groups(self, groups: Vec<GroupColumn>) -> Samples {
        Samples { groups, ..self }
    }

    /// The columns that divide samples into groups, which the settings name (`data.groups`).
    pub fn groups(&self) -> &[GroupColumn] {
        &self.groups
    }

    /// Adds a field, which must have a value for each sample.
    pub(crate) fn add_field(&mut self, field: Field) {
        self.fields.push(field);
    }

    /// The same samples with the text that is to be predicted for each.
    #[must_use]
    pub fn with_references(self, references: Vec<String>) -> Samples {
        Samples {
            references: Some(references),
            ..self
        }
    }

    /// The text that is to be predicted for the sample at `index`, if it is known.
    pub fn reference(&self, index: usize) -> Option<&str> {
        self.references.as_ref()?.get(index).map(String::as_str)
    }

    /// The same samples, which are the `tiles` of images.
    #[must_use]
    pub fn tiled(self, tiles: impl Into<Option<Tiles>>) -> Samples {
        Samples {
            tiles: tiles.into(),
            ..self
        }
    }

    /// The images that samples are tiles of, if they are.
    pub fn tiles(&self) -> Option<&Tiles> {
        self.tiles.as_ref()
    }

    /// The same samples with names.
    pub(crate) fn named(self, names: SampleNames) -> Samples {
        Samples {
            names: Some(names),
            ..self
        }
    }

    /// The name of the sample at `index`; its index if the format gives it no name.
    pub fn name(&self, index: usize) -> SampleName {
        let name = self.names.as_ref().and_then(|names| names.of(index));
        name.unwrap_or_else(|| SampleName::index(index))
    }

    /// The name of the row `ahead` rows after the first of the window of sample `index`, if samples are windows of a series.
    pub fn row_name(&self, index: usize, ahead: usize) -> Option<SampleName> {
        let start = *self.starts.as_ref()?.first.get(index)? as usize;
        self.names.as_ref()?.row_of_series(start + ahead)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        match &self.starts {
            Some(starts) => starts.first.len(),
            None => self.count,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The fields.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fields, whose values may be replaced by as many others.
    pub(super) fn fields_mut(&mut self) -> &mut [Field] {
        &mut self.fields
    }

    /// The field `name`, if there is one.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Where samples begin, if some of their fields are windows of rows.
    pub fn starts(&self) -> Option<&Starts> {
        self.starts.as_ref()
    }

    /// Sets the number of samples per epoch to `count` if samples are random windows.
    pub(crate) fn resize_epoch(&mut self, count: usize) {
        if let Some(starts) = self.starts.as_mut().filter(|starts| starts.anywhere) {
            starts.first.resize(count, 0);
        }
    }

    /// Shape of the first field of a sample, the model's input.
    pub fn shape(&self) -> Vec<usize> {
        self.fields.first().map(Field::shape).unwrap_or_default()
    }

    /// The class of each sample, if it has one.
    pub fn labels(&self) -> Option<&[u32]> {
        match &self.field(field::LABEL)?.values {
            FieldValues::Labels(labels) => Some(labels),
            _ => None,
        }
    }

    /// Whether a sample is of the class `class`, or has that label. Samples without either are of the first class.
    pub fn is_of(&self, index: usize, class: usize) -> bool {
        match (self.labels(), self.numbers(field::LABELS, index)) {
            (Some(labels), _) => labels
                .get(index)
                .is_some_and(|&label| label as usize == class),
            (None, Some((labels, _))) => labels.get(class).is_some_and(|&has| has > 0.5),
            (None, None) => class == 0,
        }
    }

    /// The number of samples of each of the `classes`, or with each label; of sentences that of the words with a tag, and of images
    /// with boxes that of the boxes. `None` if samples have none of these.
    pub fn class_counts(&self, classes: usize) -> Option<Vec<usize>> {
        let mut counts = vec![0; classes];
        let mut count = |class: usize| {
            if let Some(own) = counts.get_mut(class) {
                *own += 1;
            }
        };
        if let Some(labels) = self.labels() {
            labels.iter().for_each(|&label| count(label as usize));
            return Some(counts);
        }
        let has = |name: &str| self.field(name).is_some();
        for index in 0..self.len() {
            if has(field::TAGS) {
                let tags = self.indices(field::TAGS, index).unwrap_or_default();
                let tokens = self.tokens(index).unwrap_or_default();
                let words = tokens.iter().zip(tags);
                words
                    .filter(|&(&token, _)| token != PADDING)
                    .for_each(|(_, &tag)| count(tag as usize));
            } else if has(field::BOXES) {
                let (values, columns) = self.numbers(field::BOXES, index)?;
                let rows = values.chunks(columns).filter_map(|row| row.get(4));
                rows.filter(|class| **class >= 0.0)
                    .for_each(|class| count(*class as usize));
            } else if has(field::LABELS) {
                (0..classes)
                    .filter(|&class| self.is_of(index, class))
                    .for_each(&mut count);
            } else {
                return None;
            }
        }
        Some(counts)
    }

    /// The number of pixels of each of the `classes` in the masks of all samples, if they have masks in memory. Pixels without a class
    /// are not counted.
    pub fn pixel_counts(&self, classes: usize) -> Option<Vec<usize>> {
        let FieldValues::ByteClasses { bytes, .. } = &self.field(field::MASK)?.values else {
            return None;
        };
        let mut counts = [0; 1 << u8::BITS];
        for &class in bytes {
            counts[usize::from(class)] += 1;
        }
        Some(counts.into_iter().take(classes).collect())
    }

    /// Size of the vocabulary, if samples are tokens.
    pub fn vocabulary(&self) -> Option<usize> {
        match &self.field(field::TOKENS)?.values {
            FieldValues::Windows { rows, .. } => match **rows {
                WindowRows::Tokens { vocabulary, .. } => Some(vocabulary),
                WindowRows::Floats { .. } => None,
            },
            _ => None,
        }
    }

    /// Plural noun for the samples in reports.
    pub fn noun(&self) -> &'static str {
        let has = |name| self.field(name).is_some();
        match () {
            () if self.tiles.is_some() => "tiles",
            () if has(field::IMAGE) => "images",
            () if has(field::TARGET_TOKENS) => "pairs",
            () if has(field::TAGS) => "sentences",
            () if has(field::TOKENS) && !has(field::NEXT) => "texts",
            () if has(field::ROW) => "rows",
            () => "windows",
        }
    }

    /// Height, width and channels of the images, if samples have one each.
    pub fn picture_shape(&self) -> Option<[usize; 3]> {
        match &self.field(field::IMAGE)?.values {
            FieldValues::Pixels { shape, .. } => Some(*shape),
            FieldValues::Files(files) => Some(files.shape()),
            _ => None,
        }
    }

    /// The pixels of the image of sample `index`, which are decoded if they are on disk; `None` if there is no image, or only the
    /// device holds it.
    ///
    /// # Errors
    /// If the file of the image can't be read any more.
    pub fn picture(&self, index: usize) -> Result<Option<Cow<'_, [u8]>>, DataError> {
        match self.field(field::IMAGE).map(|field| &field.values) {
            Some(FieldValues::Pixels { bytes, shape }) => {
                let each = shape.iter().product::<usize>();
                let pixels = bytes.get(index * each..(index + 1) * each);
                Ok(pixels.map(Cow::Borrowed))
            }
            Some(FieldValues::Files(files)) if index < files.len() => {
                files.picture(index).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Mean and standard deviation of the pixels of all images, if samples have one each.
    pub fn channel_stats(&self) -> Option<ChannelStats> {
        match &self.field(field::IMAGE)?.values {
            FieldValues::Files(files) => Some(files.channel_stats()),
            _ => self.pictures().map(ChannelStats::of),
        }
    }

    /// Whether their images are decoded when they are needed: such samples are streamed.
    pub fn are_on_disk(&self) -> bool {
        let on_disk = |field: &Field| matches!(field.values, FieldValues::Files(_));
        self.fields.iter().any(on_disk)
    }

    /// The images, if samples have one each and they are in memory.
    pub fn pictures(&self) -> Option<Pictures<'_>> {
        match &self.field(field::IMAGE)?.values {
            FieldValues::Pixels { bytes, shape } => Some(Pictures {
                bytes,
                shape: *shape,
            }),
            _ => None,
        }
    }

    /// The numbers of the window `name` of one sample, row after row, with the number of columns; `None` if that is no window of
    /// numbers, or there is no such sample.
    pub fn numbers(&self, name: &str, index: usize) -> Option<(&[f32], usize)> {
        let (rows, first, length) = self.window(name, index)?;
        match rows {
            WindowRows::Floats { values, columns } => {
                let values = values.get(first * columns..(first + length) * columns)?;
                Some((values, *columns))
            }
            WindowRows::Tokens { .. } => None,
        }
    }

    /// The tokens of one sample, if samples are texts and there is such a sample.
    pub fn tokens(&self, index: usize) -> Option<&[u32]> {
        self.indices(field::TOKENS, index)
    }

    /// The whole numbers of the window `name` of one sample, such as its tags; `None` if that is no window of them, or there is no
    /// such sample.
    pub fn indices(&self, name: &str, index: usize) -> Option<&[u32]> {
        let (rows, first, length) = self.window(name, index)?;
        match rows {
            WindowRows::Tokens { tokens, .. } => tokens.get(first..first + length),
            WindowRows::Floats { .. } => None,
        }
    }

    /// Tokens of each sample before its padding, the most of all its windows of tokens.
    pub(crate) fn token_lengths(&self) -> Vec<usize> {
        let names: Vec<&str> = self.fields.iter().map(|field| field.name).collect();
        let length = |index: usize| {
            let windows = names.iter().filter_map(|name| self.indices(name, index));
            let lengths = windows.map(|tokens| {
                let last = tokens.iter().rposition(|&token| token != PADDING);
                last.map_or(0, |last| last + 1)
            });
            lengths.max().unwrap_or(0)
        };
        (0..self.len()).map(length).collect()
    }

    /// The rows that the field `name` is windows of, with the first row and the number of rows of one sample.
    fn window(&self, name: &str, index: usize) -> Option<(&WindowRows, usize, usize)> {
        let start = *self.starts.as_ref()?.first.get(index)? as usize;
        match &self.field(name)?.values {
            FieldValues::Windows {
                rows,
                offset,
                length,
            } => Some((rows, start + offset, *length)),
            _ => None,
        }
    }

    /// The rows that the field `name` is windows of.
    #[cfg(test)]
    pub(crate) fn rows_of(&self, name: &str) -> &WindowRows {
        match self.field(name).map(|field| &field.values) {
            Some(FieldValues::Windows { rows, .. }) => rows,
            _ => panic!("there are no windows called {name}"),
        }
    }

    /// Frees the bytes of pixels, once a device holds them.
    pub(crate) fn release_pixels(&mut self) {
        for field in &mut self.fields {
            if let FieldValues::Pixels { bytes, .. } | FieldValues::ByteClasses { bytes, .. } =
                &mut field.values
            {
                *bytes = Vec::new();
            }
        }
    }

    /// The samples whose index `keep` accepts.
    pub(crate) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Samples {
        let kept: Vec<usize> = (0..self.len()).filter(|&index| keep(index)).collect();
        self.chosen(&kept)
    }

    /// The samples with the indices `kept`, in that order.
    pub(crate) fn chosen(&self, kept: &[usize]) -> Samples {
        let starts = self.starts.as_ref().map(|starts| Starts {
            first: kept.iter().map(|&index| starts.first[index]).collect(),
            ..starts.clone()
        });
        Samples {
            count: kept.len(),
            fields: self.fields.iter().map(|field| field.kept(kept)).collect(),
            starts,
            names: self.names.as_ref().map(|names| names.kept(kept)),
            references: self.references.as_ref().map(|references| {
                let each = kept.iter().map(|&index| references[index].clone());
                each.collect()
            }),
            tiles: self.tiles.as_ref().map(|tiles| tiles.kept(kept)),
            groups: self.groups.iter().map(|column| column.kept(kept)).collect(),
        }
    }

    /// Checks that the samples are complete, and that labels are below `classes`.
    ///
    /// # Errors
    /// Says what is missing in the set called `name`.
    pub(crate) fn check(&self, name: &str, classes: usize) -> Result<(), DataError> {
        let wrong = |problem: String| Err(DataError::unusable(name, problem));
        if self.is_empty() {
            return wrong("has a part without samples".to_string());
        }
        if let Some(label) = self
            .labels()
            .unwrap_or_default()
            .iter()
            .find(|&&l| l as usize >= classes)
        {
            return wrong(format!("has the label {label} but {classes} classes"));
        }
        let named = self.names.as_ref().and_then(SampleNames::count);
        if let Some(named) = named.filter(|named| *named != self.len()) {
            return wrong(format!("has {} samples, but names for {named}", self.len()));
        }
        if let Some(tiles) = self
            .tiles
            .as_ref()
            .map(Tiles::len)
            .filter(|&n| n != self.len())
        {
            return wrong(format!("has {} samples, but {tiles} tiles", self.len()));
        }
        if let Some(starts) = &self.starts {
            let last = starts.first.iter().max().copied().unwrap_or(0) as usize;
            if starts.span == 0 || last + starts.span > starts.rows {
                return wrong(format!(
                    "has a sample that ends at row {} of {}",
                    last + starts.span,
                    starts.rows
                ));
            }
        }
        for field in &self.fields {
            let each = field.shape().iter().product::<usize>();
            let held = match &field.values {
                FieldValues::Pixels { bytes, .. } | FieldValues::ByteClasses { bytes, .. } => {
                    bytes.len() / each.max(1) * usize::from(bytes.len() % each.max(1) == 0)
                }
                FieldValues::Files(files) => files.len(),
                FieldValues::Labels(labels) => labels.len(),
                FieldValues::Windows { .. } => self.len(),
            };
            if held != self.len() {
                return wrong(format!(
                    "has {} samples, but its field {} does not hold one of {:?} for each",
                    self.len(),
                    field.name,
                    field.shape()
                ));
            }
        }
        Ok(())
    }
}

impl RowSet {
    /// Rows from the first of a sample to the last that it or its target needs.
    pub(crate) fn span(&self) -> usize {
        match self.targets {
            Targets::None | Targets::Classes(_) | Targets::Labels { .. } => self.length,
            Targets::NextToken => self.length + 1,
            Targets::Values { offset, length, .. } => self.length.max(offset + length),
        }
    }
}

impl WindowRows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            WindowRows::Floats { values, columns } => values.len() / (*columns).max(1),
            WindowRows::Tokens { tokens, .. } => tokens.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<ImageSet> for Samples {
    fn from(set: ImageSet) -> Self {
        Samples::new(set.len(), field::of_images(set), None)
    }
}

impl From<RowSet> for Samples {
    fn from(set: RowSet) -> Self {
        let starts = Starts {
            first: set.starts.clone(),
            anywhere: set.random_starts,
            span: set.span(),
            rows: set.rows.len(),
        };
        Samples::new(set.starts.len(), field::of_rows(set), Some(starts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RowSet {
        RowSet {
            rows: WindowRows::Floats {
                values: vec![0.0; 6],
                columns: 2,
            },
            starts: vec![0, 1, 2],
            random_starts: false,
            length: 1,
            targets: Targets::Classes(vec![0, 1, 0]),
        }
    }

    #[test]
    fn a_sample_past_the_last_row_and_a_label_without_a_class_are_refused() {
        let check = |set: RowSet, classes| Samples::from(set).check("mine", classes);
        assert!(check(table(), 2).is_ok());
        assert!(check(table(), 1).is_err());
        assert!(
            check(
                RowSet {
                    length: 2,
                    ..table()
                },
                2
            )
            .is_err()
        );
        assert!(
            check(
                RowSet {
                    starts: vec![0],
                    ..table()
                },
                2
            )
            .is_err()
        );
        let ahead = Targets::Values {
            values: vec![0.0; 3],
            columns: 1,
            offset: 1,
            length: 1,
        };
        assert!(
            check(
                RowSet {
                    targets: ahead,
                    ..table()
                },
                0
            )
            .is_err()
        );
    }

    #[test]
    fn the_numbers_of_a_sample_are_those_of_its_rows() {
        let mut set = table();
        set.rows = WindowRows::Floats {
            values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            columns: 2,
        };
        let samples = Samples::from(set);
        assert_eq!(samples.numbers(field::ROW, 1), Some((&[3.0, 4.0][..], 2)));
        assert_eq!(samples.numbers(field::ROW, 3), None);
        assert_eq!(
            (samples.numbers(field::LABEL, 0), samples.tokens(0)),
            (None, None)
        );
    }

    #[test]
    fn filtering_keeps_rows_with_their_labels_and_names() {
        let named = Samples::from(table()).named(SampleNames::Rows(vec![4, 7, 9]));
        let kept = named.filtered(|index| index != 1);
        assert_eq!(kept.starts().unwrap().first, [0, 2]);
        assert_eq!(kept.name(1).to_string(), "row 9");
        assert_eq!(kept.labels(), Some(&[0, 0][..]));
    }
}
