//! Samples of one set that another holds, too: a model that was trained on them looks better than it is.

use super::field::{self, FieldValues};
use super::{Samples, WindowRows};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Fields that are to be predicted.
const TARGETS: [&str; 8] = [
    field::TARGET_TOKENS,
    field::LABEL,
    field::LABELS,
    field::MASK,
    field::NEXT,
    field::TAGS,
    field::VALUE,
    field::TARGET,
];

/// The number of `samples` whose inputs are those of a sample of `seen`; `None` if that can't be told, because images stay on disk.
pub fn overlap(seen: &Samples, samples: &Samples) -> Option<usize> {
    let known: HashSet<u64> = (0..seen.len())
        .map(|index| digest(seen, index))
        .collect::<Option<_>>()?;
    let digests = (0..samples.len()).map(|index| digest(samples, index));
    let digests: Option<Vec<u64>> = digests.collect();
    Some(
        digests?
            .iter()
            .filter(|digest| known.contains(digest))
            .count(),
    )
}

/// A digest of the inputs of one sample.
fn digest(samples: &Samples, index: usize) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let inputs = samples.fields().iter();
    for field in inputs.filter(|field| !TARGETS.contains(&field.name)) {
        match &field.values {
            FieldValues::Pixels { bytes, shape } => {
                let each = shape.iter().product::<usize>();
                bytes
                    .get(index * each..(index + 1) * each)?
                    .hash(&mut hasher);
            }
            FieldValues::Windows { rows, .. } => match &**rows {
                WindowRows::Floats { .. } => {
                    let (numbers, _) = samples.numbers(field.name, index)?;
                    numbers.iter().for_each(|x| x.to_bits().hash(&mut hasher));
                }
                WindowRows::Tokens { .. } => samples.tokens(index)?.hash(&mut hasher),
            },
            FieldValues::Labels(_) | FieldValues::ByteClasses { .. } => {}
            FieldValues::Files(_) => return None,
        }
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{RowSet, Targets};

    fn rows(values: &[f32], label: u32) -> Samples {
        Samples::from(RowSet {
            rows: WindowRows::Floats {
                values: values.to_vec(),
                columns: 2,
            },
            starts: (0..values.len() as u32 / 2).collect(),
            random_starts: false,
            length: 1,
            targets: Targets::Classes(vec![label; values.len() / 2]),
        })
    }

    #[test]
    fn samples_with_the_same_inputs_are_counted_whatever_their_targets() {
        let seen = rows(&[1.0, 2.0, 3.0, 4.0, 1.0, 2.0], 0);
        let samples = rows(&[2.0, 1.0, 3.0, 4.0, 1.0, 2.0, 1.0, 2.5], 1);
        assert_eq!(overlap(&seen, &samples), Some(2));
        assert_eq!(overlap(&samples, &seen), Some(3));
    }
}
