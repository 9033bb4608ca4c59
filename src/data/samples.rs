//! Samples of any kind: images, or windows of rows.

use super::{DataError, ImageSet};

/// The samples of one part of a data set, with what is to be learned about each.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Images as bytes, which the device scales.
    Images(ImageSet),
    /// Rows of a table, passages of a text, hours of a series.
    Rows(RowSet),
}

/// Samples that are windows of consecutive rows: sample i is the rows `starts[i] .. starts[i] + length`.
#[derive(Clone, Debug, PartialEq)]
pub struct RowSet {
    /// The rows of all samples.
    pub rows: Rows,
    /// First row of each sample.
    pub starts: Vec<u32>,
    /// Rows of a sample: 1 for tables.
    pub length: usize,
    /// What is to be learned.
    pub targets: Targets,
}

/// Rows that samples are windows of.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Numbers, `[rows, columns]`.
    Floats {
        /// Row after row.
        values: Vec<f32>,
        /// Numbers of a row.
        columns: usize,
    },
    /// Tokens of a text; 0 is padding.
    Tokens {
        /// One after another.
        tokens: Vec<u32>,
        /// How many different ones there are, padding with them.
        vocabulary: usize,
    },
}

/// What is to be learned of each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class index for each sample.
    Classes(Vec<u32>),
    /// The token after each token of the sample.
    NextToken,
    /// Numbers: those of `length` rows from the row `start + offset` on.
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
    /// How many samples.
    pub fn len(&self) -> usize {
        match self {
            Samples::Images(set) => set.len(),
            Samples::Rows(set) => set.starts.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shape of a sample: `[height, width, channels]`, `[columns]` of single rows, or `[rows, columns]`.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Samples::Images(set) => vec![set.height, set.width, set.channels],
            Samples::Rows(RowSet {
                rows: Rows::Floats { columns, .. },
                length,
                ..
            }) => match length {
                1 => vec![*columns],
                _ => vec![*length, *columns],
            },
            Samples::Rows(RowSet {
                rows: Rows::Tokens { .. },
                length,
                ..
            }) => vec![*length],
        }
    }

    /// The class of each sample, if that is what is to be learned.
    pub fn labels(&self) -> Option<&[u32]> {
        match self {
            Samples::Images(set) => Some(&set.labels),
            Samples::Rows(RowSet {
                targets: Targets::Classes(labels),
                ..
            }) => Some(labels),
            Samples::Rows(_) => None,
        }
    }

    /// How many numbers are to be predicted of each sample, if it is numbers.
    pub fn target_values(&self) -> Option<usize> {
        match self {
            Samples::Rows(RowSet {
                targets: Targets::Values {
                    columns, length, ..
                },
                ..
            }) => Some(columns * length),
            _ => None,
        }
    }

    /// How many tokens there are to choose from, if samples are made of tokens.
    pub fn vocabulary(&self) -> Option<usize> {
        match self {
            Samples::Rows(RowSet {
                rows: Rows::Tokens { vocabulary, .. },
                ..
            }) => Some(*vocabulary),
            _ => None,
        }
    }

    /// Whether the token after each is to be predicted.
    pub fn predicts_next(&self) -> bool {
        matches!(
            self,
            Samples::Rows(RowSet {
                targets: Targets::NextToken,
                ..
            })
        )
    }

    /// Outputs that a model needs of its own: the numbers to predict, or the tokens to choose from.
    pub fn outputs(&self) -> Option<usize> {
        match self {
            Samples::Rows(RowSet {
                targets: Targets::NextToken,
                ..
            }) => self.vocabulary(),
            _ => self.target_values(),
        }
    }

    /// What the samples are called in reports.
    pub fn noun(&self) -> &'static str {
        match self {
            Samples::Images(_) => "images",
            Samples::Rows(RowSet {
                rows: Rows::Tokens { .. },
                targets: Targets::Classes(_),
                ..
            }) => "texts",
            Samples::Rows(RowSet { length: 1, .. }) => "rows",
            Samples::Rows(_) => "windows",
        }
    }

    /// The images, if it is images.
    pub fn images(&self) -> Option<&ImageSet> {
        match self {
            Samples::Images(set) => Some(set),
            Samples::Rows(_) => None,
        }
    }

    /// The samples whose index `keep` accepts.
    pub(crate) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Samples {
        match self {
            Samples::Images(set) => Samples::Images(set.filtered(keep)),
            Samples::Rows(set) => {
                let kept = |all: &[u32]| {
                    let indexed = all.iter().enumerate().filter(|(index, _)| keep(*index));
                    indexed.map(|(_, &value)| value).collect()
                };
                Samples::Rows(RowSet {
                    rows: set.rows.clone(),
                    starts: kept(&set.starts),
                    length: set.length,
                    targets: match &set.targets {
                        Targets::Classes(labels) => Targets::Classes(kept(labels)),
                        values => values.clone(),
                    },
                })
            }
        }
    }

    /// Checks that everything is there that the samples speak of, and that labels are below `classes`.
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
        match self {
            Samples::Images(set) => {
                let bytes = set.height * set.width * set.channels * set.len();
                if set.images.len() != bytes {
                    return wrong(format!(
                        "has {} labels for {} bytes of images of {:?}",
                        set.len(),
                        set.images.len(),
                        self.shape()
                    ));
                }
            }
            Samples::Rows(set) => {
                let rows = set.rows.len();
                let last = set.starts.iter().max().copied().unwrap_or(0) as usize;
                let labelled = self
                    .labels()
                    .is_none_or(|labels| labels.len() == set.starts.len());
                if set.length == 0 || last + set.span() > rows || !labelled {
                    return wrong(format!(
                        "has a sample that ends at row {} of {rows}, or samples without a label",
                        last + set.span()
                    ));
                }
            }
        }
        Ok(())
    }
}

impl RowSet {
    /// Rows from the first of a sample to the last that it or its target needs.
    pub(crate) fn span(&self) -> usize {
        match self.targets {
            Targets::Classes(_) => self.length,
            Targets::NextToken => self.length + 1,
            Targets::Values { offset, length, .. } => self.length.max(offset + length),
        }
    }
}

impl Rows {
    /// How many rows.
    pub fn len(&self) -> usize {
        match self {
            Rows::Floats { values, columns } => values.len() / (*columns).max(1),
            Rows::Tokens { tokens, .. } => tokens.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<ImageSet> for Samples {
    fn from(set: ImageSet) -> Self {
        Samples::Images(set)
    }
}

impl From<RowSet> for Samples {
    fn from(set: RowSet) -> Self {
        Samples::Rows(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RowSet {
        RowSet {
            rows: Rows::Floats {
                values: vec![0.0; 6],
                columns: 2,
            },
            starts: vec![0, 1, 2],
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
    fn filtering_keeps_rows_and_their_labels() {
        let Samples::Rows(kept) = Samples::from(table()).filtered(|index| index != 1) else {
            unreachable!("rows stay rows");
        };
        assert_eq!(
            (kept.starts, kept.targets),
            (vec![0, 2], Targets::Classes(vec![0, 0]))
        );
    }
}
