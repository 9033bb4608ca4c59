//! Two sets of samples as one.

use super::field::{Field, FieldValues};
use super::{Samples, Starts, WindowRows};
use std::sync::Arc;

/// Rows that are joined already: those of both sets, by which fields share them.
type Joined = (Arc<WindowRows>, Arc<WindowRows>, Arc<WindowRows>);

impl Samples {
    /// These samples, and after them `others`, without their names.
    ///
    /// # Errors
    /// Says how the two differ, or why they can't be joined, as the rest of a sentence about the samples.
    pub(crate) fn followed_by(&self, others: &Samples) -> Result<Samples, String> {
        let names = |samples: &Samples| -> Vec<&str> {
            samples.fields().iter().map(|field| field.name).collect()
        };
        if names(self) != names(others) {
            return Err(format!(
                "have the fields {} in one set and {} in the other",
                names(self).join(", "),
                names(others).join(", ")
            ));
        }
        if self.tiles().is_some() || others.tiles().is_some() {
            return Err("are tiles of images".to_string());
        }
        let mut joined = Vec::new();
        let pairs = self.fields().iter().zip(others.fields());
        let fields = pairs.map(|(a, b)| join(a, b, &mut joined));
        let fields = fields.collect::<Result<Vec<Field>, String>>()?;
        let starts = match (self.starts(), others.starts()) {
            (None, None) => None,
            (Some(a), Some(b)) if a.anywhere || b.anywhere => {
                return Err("begin anywhere in a text".to_string());
            }
            (Some(a), Some(b)) if a.span == b.span => Some(Starts {
                first: (a.first.iter().copied())
                    .chain(b.first.iter().map(|start| start + a.rows as u32))
                    .collect(),
                anywhere: false,
                span: a.span,
                rows: a.rows + b.rows,
            }),
            _ => return Err("are windows of different lengths".to_string()),
        };
        Ok(Samples::new(self.len() + others.len(), fields, starts))
    }
}

/// The values of one field in both sets.
fn join(a: &Field, b: &Field, joined: &mut Vec<Joined>) -> Result<Field, String> {
    let differ = || {
        Err(format!(
            "have the field {} of {:?} in one set and of {:?} in the other",
            a.name,
            a.shape(),
            b.shape()
        ))
    };
    if a.shape() != b.shape() {
        return differ();
    }
    use FieldValues::{ByteClasses, Files, Labels, Pixels, Windows};
    let values = match (&a.values, &b.values) {
        (Pixels { bytes, shape }, Pixels { bytes: more, .. }) => Pixels {
            bytes: [&bytes[..], more].concat(),
            shape: *shape,
        },
        (ByteClasses { bytes, shape }, ByteClasses { bytes: more, .. }) => ByteClasses {
            bytes: [&bytes[..], more].concat(),
            shape: *shape,
        },
        (Labels(labels), Labels(more)) => Labels([&labels[..], more].concat()),
        (
            Windows {
                rows,
                offset,
                length,
            },
            Windows {
                rows: more,
                offset: other,
                ..
            },
        ) if offset == other => {
            let known = joined
                .iter()
                .find(|(x, y, _)| Arc::ptr_eq(x, rows) && Arc::ptr_eq(y, more));
            let both = match known {
                Some((.., both)) => both.clone(),
                None => {
                    let Some(both) = join_rows(rows, more) else {
                        return differ();
                    };
                    let both = Arc::new(both);
                    joined.push((rows.clone(), more.clone(), both.clone()));
                    both
                }
            };
            Windows {
                rows: both,
                offset: *offset,
                length: *length,
            }
        }
        (Files(_), _) | (_, Files(_)) => {
            return Err(
                "are images that are decoded as they are needed; make data.memory_limit larger"
                    .to_string(),
            );
        }
        _ => return differ(),
    };
    Ok(Field {
        name: a.name,
        values,
    })
}

/// Rows, and others of the same kind after them; `None` if they are of different kinds.
fn join_rows(a: &WindowRows, b: &WindowRows) -> Option<WindowRows> {
    match (a, b) {
        (
            WindowRows::Floats { values, columns },
            WindowRows::Floats {
                values: more,
                columns: others,
            },
        ) if columns == others => Some(WindowRows::Floats {
            values: [&values[..], more].concat(),
            columns: *columns,
        }),
        (
            WindowRows::Tokens { tokens, vocabulary },
            WindowRows::Tokens {
                tokens: more,
                vocabulary: other,
            },
        ) if vocabulary == other => Some(WindowRows::Tokens {
            tokens: [&tokens[..], more].concat(),
            vocabulary: *vocabulary,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageSet, RowSet, Targets, field};

    fn pictures(first: u8, labels: Vec<u32>, width: usize) -> Samples {
        let count = labels.len() * width;
        ImageSet {
            images: (first..).take(count).collect(),
            labels,
            height: 1,
            width,
            channels: 1,
        }
        .into()
    }

    fn rows(values: Vec<f32>, starts: Vec<u32>) -> Samples {
        let targets = Targets::Values {
            values: values.iter().map(|x| -x).collect(),
            columns: 1,
            offset: 0,
            length: 1,
        };
        RowSet {
            rows: WindowRows::Floats { values, columns: 1 },
            starts,
            random_starts: false,
            length: 1,
            targets,
        }
        .into()
    }

    #[test]
    fn images_follow_with_their_classes() {
        let both = pictures(0, vec![1, 0], 2).followed_by(&pictures(7, vec![2], 2));
        let both = both.unwrap();
        assert_eq!(both.len(), 3);
        assert_eq!(both.labels(), Some(&[1, 0, 2][..]));
        assert_eq!(both.pictures().unwrap().bytes, [0, 1, 2, 3, 7, 8]);
        assert!(both.check("both", 3).is_ok());
    }

    #[test]
    fn rows_follow_with_their_targets() {
        let first = rows(vec![1.0, 2.0, 3.0], vec![2, 0]);
        let both = first.followed_by(&rows(vec![4.0, 5.0], vec![1])).unwrap();
        let row = |index| both.numbers(field::ROW, index).unwrap().0[0];
        let value = |index| both.numbers(field::VALUE, index).unwrap().0[0];
        assert_eq!([row(0), row(1), row(2)], [3.0, 1.0, 5.0]);
        assert_eq!([value(0), value(1), value(2)], [-3.0, -1.0, -5.0]);
        assert!(both.check("both", 0).is_ok());
    }

    #[test]
    fn what_differs_is_named() {
        let images = pictures(0, vec![0], 2);
        let wider = images.followed_by(&pictures(0, vec![0], 3)).unwrap_err();
        assert!(wider.contains("image of [1, 2, 1]"), "{wider}");
        let others = images.followed_by(&rows(vec![1.0], vec![0])).unwrap_err();
        assert!(others.contains("the fields image, label"), "{others}");
    }
}
