//! How samples reach the device: the whole set once, or batch by batch from a thread that reads ahead.

use super::graphs::{DataShape, Layout, Target};
use crate::cpu::Tensor;
use crate::data::{
    DataSettings, RowSet, Rows, Samples, Targets, random_starts, sequential, shuffled,
};
use crate::error::{Error, Result};
use std::sync::{Arc, mpsc};

/// Bytes packed four to a word, little endian, the last word filled up with zeros.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u32> {
    words(bytes).collect()
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let chunks = bytes.chunks_exact(4);
    let rest = chunks.remainder();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then_some(u32::from_le_bytes(last));
    chunks
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .chain(last)
}

/// Which samples a pass over a set visits, one after another.
pub(super) struct Pass {
    /// Their indices.
    pub order: Vec<u32>,
    /// First rows of the set's samples, where they are those of this pass alone.
    pub starts: Option<Vec<u32>>,
}

impl Pass {
    /// All samples of a set of `samples` as they come.
    pub fn in_order(samples: usize) -> Pass {
        Pass {
            order: sequential(samples),
            starts: None,
        }
    }

    /// Those of an epoch: all of `set` in an order of the epoch's own, or as many that begin anywhere in its rows.
    pub fn of_epoch(set: &Samples, seed: u64, epoch: u32) -> Pass {
        match set {
            Samples::Rows(rows) if rows.random_starts => {
                let places = rows.rows.len() + 1 - rows.span();
                let starts = random_starts(set.len(), places as u32, seed, epoch);
                Pass {
                    starts: Some(starts),
                    ..Pass::in_order(set.len())
                }
            }
            _ => Pass {
                order: shuffled(set.len(), seed, epoch),
                starts: None,
            },
        }
    }
}

impl DataShape {
    /// How `samples`, as the set of this name, lie on a device whose tensors have up to `most_bytes`, and whether they are
    /// streamed: then there is room for one batch.
    pub fn of_samples(
        name: &'static str,
        samples: &Samples,
        settings: &DataSettings,
        batch: usize,
        most_bytes: u64,
    ) -> (DataShape, bool) {
        let fits = largest_tensor(samples) <= most_bytes;
        let streamed = settings.stream.unwrap_or(!fits);
        (shape_of(samples, name, batch, streamed), streamed)
    }
}

/// The shape of `set` on the device, whole, or as one batch of it.
fn shape_of(set: &Samples, name: &'static str, batch: usize, streamed: bool) -> DataShape {
    let samples = if streamed { batch } else { set.len() };
    let layout = match set {
        Samples::Images(_) => Layout::Bytes,
        Samples::Rows(set) => {
            let rows = if streamed {
                batch * set.span()
            } else {
                set.rows.len()
            };
            let length = set.length;
            match set.rows {
                Rows::Floats { columns, .. } => Layout::Rows {
                    rows,
                    columns,
                    length,
                },
                Rows::Tokens { .. } => Layout::Tokens { rows, length },
            }
        }
    };
    DataShape {
        set: name,
        samples,
        batch,
        sample: set.shape(),
        layout,
        target: target_of(set),
    }
}

/// What is to be learned of the samples of `set`.
pub(super) fn target_of(set: &Samples) -> Target {
    match set {
        Samples::Images(_) => Target::Class,
        Samples::Rows(set) => match set.targets {
            Targets::Classes(_) => Target::Class,
            Targets::NextToken => Target::NextToken,
            Targets::Values {
                columns,
                offset,
                length,
                ..
            } => Target::Values {
                columns,
                offset,
                length,
            },
        },
    }
}

/// Bytes of the largest tensor of `set` on the device.
pub(super) fn largest_tensor(set: &Samples) -> u64 {
    let bytes = match set {
        Samples::Images(set) => set.images.len(),
        Samples::Rows(set) => {
            let numbers = match &set.rows {
                Rows::Floats { values, .. } => values.len(),
                Rows::Tokens { tokens, .. } => tokens.len(),
            };
            let targets = match &set.targets {
                Targets::Values { values, .. } => values.len(),
                Targets::Classes(_) | Targets::NextToken => 0,
            };
            4 * numbers.max(targets).max(set.starts.len())
        }
    };
    bytes as u64
}

/// The variables of a whole set, by the part of their name that tells them apart.
pub(super) fn variables(set: &Samples) -> Vec<(&'static str, Tensor<f32>)> {
    let index = |values: &[u32]| Tensor::index([values.len()], values.to_vec());
    match set {
        Samples::Images(set) => {
            let words = pack(&set.images);
            vec![
                ("images", Tensor::index([words.len()], words)),
                ("labels", index(&set.labels)),
            ]
        }
        Samples::Rows(set) => {
            let table = |values: &[f32], columns: usize| {
                Tensor::real([set.rows.len(), columns], values.to_vec())
            };
            let rows = match &set.rows {
                Rows::Floats { values, columns } => table(values, *columns),
                Rows::Tokens { tokens, .. } => index(tokens),
            };
            let mut variables = vec![("rows", rows), ("starts", index(&set.starts))];
            match &set.targets {
                Targets::Classes(labels) => variables.push(("labels", index(labels))),
                Targets::Values {
                    values, columns, ..
                } => variables.push(("values", table(values, *columns))),
                Targets::NextToken => {}
            }
            variables
        }
    }
}

/// A batch that was put together on the host: what [`variables`] gives of a set that has these samples alone.
pub(super) struct HostBatch {
    batch: usize,
    pub variables: Vec<(&'static str, Tensor<f32>)>,
}

impl HostBatch {
    /// Room for a batch.
    pub fn new(set: &Samples, batch: usize) -> Self {
        let shape = shape_of(set, "", batch, true);
        let zeros = |name, ty| (name, Tensor::zeros(&ty));
        let mut variables = match set {
            Samples::Images(_) => vec![zeros("images", shape.images())],
            Samples::Rows(_) => vec![
                zeros("rows", shape.rows()),
                zeros("starts", shape.per_sample()),
            ],
        };
        match shape.target {
            Target::Class => variables.push(zeros("labels", shape.per_sample())),
            Target::Values { .. } => variables.push(zeros("values", shape.values())),
            Target::NextToken => {}
        }
        HostBatch { batch, variables }
    }

    /// Takes the samples `indices` of `set`, the last of them again until the batch is full. Windows begin at `starts`, or
    /// where the set says. `bytes` is scratch.
    fn fill(
        &mut self,
        set: &Samples,
        starts: Option<&[u32]>,
        indices: &[u32],
        bytes: &mut Vec<u8>,
    ) {
        let last = indices.len() - 1;
        let index = |i: usize| indices[i.min(last)] as usize;
        let starts = match set {
            Samples::Rows(set) => starts.unwrap_or(&set.starts),
            Samples::Images(_) => &[],
        };
        let start = |i: usize| starts[index(i)] as usize;
        for (name, tensor) in &mut self.variables {
            match (*name, set) {
                ("images", Samples::Images(set)) => {
                    bytes.clear();
                    (0..self.batch).for_each(|i| bytes.extend_from_slice(set.image(index(i))));
                    for (place, word) in tensor.indices_mut().iter_mut().zip(words(bytes)) {
                        *place = word;
                    }
                }
                ("labels", set) => {
                    let labels = set.labels().unwrap_or_default();
                    for (i, label) in tensor.indices_mut().iter_mut().enumerate() {
                        *label = labels[index(i)];
                    }
                }
                ("starts", Samples::Rows(set)) => {
                    for (i, start) in tensor.indices_mut().iter_mut().enumerate() {
                        *start = (i * set.span()) as u32;
                    }
                }
                ("values", Samples::Rows(set)) => {
                    if let Targets::Values {
                        values, columns, ..
                    } = &set.targets
                    {
                        copy_rows(tensor.reals_mut(), values, *columns, set, start);
                    }
                }
                (_, Samples::Rows(set)) => match &set.rows {
                    Rows::Floats { values, columns } => {
                        copy_rows(tensor.reals_mut(), values, *columns, set, start);
                    }
                    Rows::Tokens { tokens, .. } => {
                        copy_rows(tensor.indices_mut(), tokens, 1, set, start)
                    }
                },
                (_, Samples::Images(_)) => {}
            }
        }
    }
}

/// Copies the rows that each sample of a batch needs, one sample after another.
fn copy_rows<E: Copy>(
    places: &mut [E],
    values: &[E],
    columns: usize,
    set: &RowSet,
    start: impl Fn(usize) -> usize,
) {
    let length = set.span() * columns;
    for (i, rows) in places.chunks_exact_mut(length).enumerate() {
        let first = start(i) * columns;
        rows.copy_from_slice(&values[first..first + length]);
    }
}

/// Batches from a thread that stays a few ahead.
pub(super) struct Stream {
    filled: mpsc::Receiver<HostBatch>,
    used: mpsc::SyncSender<HostBatch>,
}

impl Stream {
    /// Starts the thread that puts the batches of `pass` together, after the first `skipped` samples.
    pub fn new(set: Arc<Samples>, pass: Pass, skipped: usize, batch: usize) -> Stream {
        const AHEAD: usize = 4;
        let (sender, filled) = mpsc::sync_channel(AHEAD);
        // Room for all there are: those ahead, the one that is filled and the one that is read.
        let (used, spare) = mpsc::sync_channel(AHEAD + 2);
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            for indices in pass.order[skipped..].chunks(batch) {
                let spare = spare.try_recv();
                let mut next = spare.unwrap_or_else(|_| HostBatch::new(&set, batch));
                next.fill(&set, pass.starts.as_deref(), indices, &mut bytes);
                if sender.send(next).is_err() {
                    // The session ended before the epoch did.
                    return;
                }
            }
        });
        Stream { filled, used }
    }

    /// The next batch.
    ///
    /// # Errors
    /// If the thread ended: there is none.
    pub fn next(&self) -> Result<HostBatch> {
        let next = self.filled.recv();
        next.map_err(|_| Error::Data("the thread that reads the data stopped".to_string()))
    }

    /// Hands a batch back, whose memory then serves another.
    pub fn give_back(&self, batch: HostBatch) {
        let _ = self.used.try_send(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;

    fn listed(order: &[u32]) -> Pass {
        Pass {
            order: order.to_vec(),
            starts: None,
        }
    }

    #[test]
    fn samples_that_begin_anywhere_end_within_the_rows_and_stream_as_drawn() {
        let set = RowSet {
            rows: Rows::Tokens {
                tokens: (0..10).collect(),
                vocabulary: 10,
            },
            starts: vec![0; 40],
            random_starts: true,
            length: 3,
            targets: Targets::NextToken,
        };
        let set = Samples::from(set);
        let pass = Pass::of_epoch(&set, 1, 0);
        let starts = pass.starts.clone().unwrap();
        // A window takes three rows and the one after.
        assert_eq!(starts.iter().max(), Some(&6));
        assert_ne!(starts, Pass::of_epoch(&set, 1, 1).starts.unwrap());
        let batch = Stream::new(Arc::new(set), pass, 4, 2).next().unwrap();
        let windows = starts[4..6].iter().flat_map(|&start| start..start + 4);
        assert_eq!(batch.variables[0].1.indices(), windows.collect::<Vec<_>>());
    }

    #[test]
    fn bytes_are_packed_little_endian_and_filled_up() {
        assert_eq!(pack(&[1, 2, 3, 4, 5]), [0x0403_0201, 5]);
    }

    #[test]
    fn the_last_streamed_batch_repeats_its_last_sample() {
        let set = ImageSet {
            images: vec![10, 11, 12],
            labels: vec![0, 1, 2],
            height: 1,
            width: 1,
            channels: 1,
        };
        let stream = Stream::new(Arc::new(set.into()), listed(&[2, 0, 1]), 0, 2);
        let first = stream.next().unwrap();
        assert_eq!(first.variables[1].1.indices(), [2, 0]);
        stream.give_back(first);
        let second = stream.next().unwrap();
        assert_eq!(second.variables[1].1.indices(), [1, 1]);
        assert_eq!(second.variables[0].1.indices(), [0x0b0b]);
        assert!(stream.next().is_err());
    }

    #[test]
    fn a_streamed_window_brings_its_rows_and_those_of_its_target() {
        let set = RowSet {
            rows: Rows::Floats {
                values: (0..10).map(|i| i as f32).collect(),
                columns: 2,
            },
            starts: vec![0, 2, 1],
            random_starts: false,
            length: 2,
            targets: Targets::Values {
                values: vec![10.0, 11.0, 12.0, 13.0, 14.0],
                columns: 1,
                offset: 2,
                length: 1,
            },
        };
        let stream = Stream::new(Arc::new(set.into()), listed(&[0, 1, 2]), 1, 2);
        let batch = stream.next().unwrap();
        let [(_, rows), (_, starts), (_, values)] = &batch.variables[..] else {
            panic!("rows, starts and values");
        };
        assert_eq!(
            rows.reals(),
            [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
        );
        assert_eq!(starts.indices(), [0, 3]);
        assert_eq!(values.reals(), [12.0, 13.0, 14.0, 11.0, 12.0, 13.0]);
    }
}
