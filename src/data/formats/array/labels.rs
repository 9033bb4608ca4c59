//! Labels in an array: whole numbers, names, or one-hot rows.

use super::{Array, shape_in_words};
use std::borrow::Cow;

/// Largest whole number below which floats of eight bytes represent all of them.
const WHOLE: f64 = (1_u64 << 53) as f64;

/// The labels of one part.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data::formats) enum Labels {
    Numbers(Vec<i64>),
    Names(Vec<String>),
}

impl Labels {
    /// The labels in `array`, of shape `[count]` or `[count, 1]`, or one-hot `[count, classes]`. The second value says what was
    /// recognised, if that is not obvious.
    ///
    /// # Errors
    /// Says what is wrong, as the rest of a sentence about the array.
    pub fn of(array: &Array) -> Result<(Labels, Option<String>), String> {
        let columns = match array.shape[..] {
            [_] | [_, 1] => 1,
            [_, columns] if columns > 1 => columns,
            _ => {
                return Err(format!(
                    "have shape {}; there must be one label, or one-hot row, per sample",
                    shape_in_words(&array.shape)
                ));
            }
        };
        if columns > 1 {
            let places = one_hot(array, columns).ok_or_else(|| {
                format!(
                    "have shape {}, and their rows are not one-hot: save one label per sample",
                    shape_in_words(&array.shape)
                )
            })?;
            let found = format!("are one-hot: {columns} columns, one for each class");
            return Ok((Labels::Numbers(places), Some(found)));
        }
        if let Some(texts) = array.texts() {
            return Ok((Labels::Names(texts.collect()), None));
        }
        let whole = |x: f64| match x.fract() == 0.0 && x.abs() < WHOLE {
            true => Ok(x as i64),
            false => Err(format!("contain {x}, which is not a class")),
        };
        let numbers = array.numbers().map(whole).collect::<Result<_, _>>()?;
        Ok((Labels::Numbers(numbers), None))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Labels::Numbers(numbers) => numbers.len(),
            Labels::Names(names) => names.len(),
        }
    }

    /// The least number.
    pub fn least(&self) -> Option<i64> {
        match self {
            Labels::Numbers(numbers) => numbers.iter().copied().min(),
            Labels::Names(_) => None,
        }
    }

    /// The label at `index`, as a text.
    pub fn cell(&self, index: usize) -> Cow<'_, str> {
        match self {
            Labels::Numbers(numbers) => {
                Cow::Owned(numbers.get(index).map(i64::to_string).unwrap_or_default())
            }
            Labels::Names(names) => {
                Cow::Borrowed(names.get(index).map(String::as_str).unwrap_or_default())
            }
        }
    }
}

/// The place of the one in each row of `columns` numbers that are otherwise zero.
fn one_hot(array: &Array, columns: usize) -> Option<Vec<i64>> {
    let mut places = Vec::new();
    let (mut place, mut own) = (0, None);
    for x in array.numbers() {
        match x {
            1.0 if own.is_none() => own = Some(place as i64),
            0.0 => {}
            _ => return None,
        }
        place += 1;
        if place == columns {
            places.push(own.take()?);
            place = 0;
        }
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn labels(shape: &[usize], bytes: &[u8]) -> Result<(Labels, Option<String>), String> {
        Labels::of(&Array {
            shape: shape.to_vec(),
            kind: Kind::BYTE,
            bytes: bytes.to_vec(),
        })
    }

    #[test]
    fn one_label_or_one_hot_row_per_sample() {
        let numbers = |numbers: &[i64]| Labels::Numbers(numbers.to_vec());
        assert_eq!(labels(&[2], &[3, 1]).unwrap(), (numbers(&[3, 1]), None));
        assert_eq!(labels(&[2, 1], &[3, 1]).unwrap(), (numbers(&[3, 1]), None));
        let (hot, found) = labels(&[2, 3], &[0, 0, 1, 1, 0, 0]).unwrap();
        assert_eq!(hot, numbers(&[2, 0]));
        assert!(found.unwrap().contains("3 columns"));
        for (shape, bytes) in [
            (&[2, 2][..], &[1, 1, 0, 1][..]),
            (&[1, 2], &[0, 0]),
            (&[1, 2], &[2, 0]),
            (&[1, 1, 2], &[1, 0]),
        ] {
            assert!(labels(shape, bytes).is_err(), "{shape:?}");
        }
    }
}
