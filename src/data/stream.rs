//! Samples as tensors on a device: the variables of a whole set, or batches from a thread that reads ahead.

use super::batch::table_name;
use super::decoders::{Decoders, Waited};
use super::field::{Field, FieldValues};
use super::on_disk::{Decoded, decoding_threads};
use super::{DataError, Samples, WindowRows, random_starts, sequential, shuffled};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// The variable with the first rows of samples.
const STARTS: &str = "starts";

/// Bytes packed four to a word, little-endian, with the last word padded by zeros.
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

/// The samples that a pass over a set visits, in order.
pub(crate) struct Pass {
    /// Their indices.
    pub order: Vec<u32>,
    /// First rows of the set's samples, if they are drawn for this pass.
    pub starts: Option<Vec<u32>>,
}

impl Pass {
    /// All samples of a set of `samples`, in order.
    pub fn in_order(samples: usize) -> Pass {
        Pass {
            order: sequential(samples),
            starts: None,
        }
    }

    /// These samples, which may be any of a set, and some of them several times.
    pub fn listed(order: Vec<u32>) -> Pass {
        Pass {
            order,
            starts: None,
        }
    }

    /// The samples of a training epoch: all of `set` in shuffled order, or as many random windows.
    pub fn of_epoch(set: &Samples, seed: u64, epoch: u32) -> Pass {
        match set.starts() {
            Some(starts) if starts.anywhere => {
                let places = starts.rows + 1 - starts.span;
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

/// One variable of a set.
enum Part<'a> {
    /// Bytes, this many per sample.
    Bytes(&'a [u8], usize),
    /// Pictures that are decoded when they are needed, of this many bytes.
    Files(usize),
    Labels(&'a [u32]),
    WindowRows(&'a WindowRows),
    Starts(&'a [u32]),
}

/// The variables of a set, each with its part of the name.
fn parts(set: &Samples) -> Vec<(&'static str, Part<'_>)> {
    let mut parts = Vec::new();
    for field in set.fields() {
        let part = match &field.values {
            FieldValues::Pixels { bytes, .. } | FieldValues::ByteClasses { bytes, .. } => {
                Part::Bytes(bytes, item_bytes(field))
            }
            FieldValues::Files(_) => Part::Files(item_bytes(field)),
            FieldValues::Labels(labels) => Part::Labels(labels),
            FieldValues::Windows { rows, .. } if table_name(set, rows) == field.name => {
                Part::WindowRows(rows)
            }
            FieldValues::Windows { .. } => continue,
        };
        parts.push((field.name, part));
    }
    if let Some(starts) = set.starts() {
        parts.push((STARTS, Part::Starts(&starts.first)));
    }
    parts
}

fn item_bytes(field: &Field) -> usize {
    field.shape().iter().product()
}

/// The variables of a whole set, named without the prefix of the set.
///
/// # Errors
/// If its pictures are on disk: such a set is streamed.
pub(crate) fn variables(set: &Samples) -> Result<Vec<(&'static str, Tensor<f32>)>> {
    let index = |values: &[u32]| Tensor::index([values.len()], values.to_vec());
    let tensor = |part| {
        match part {
        Part::Bytes(bytes, _) => {
            let words = pack(bytes);
            Ok(Tensor::index([words.len()], words))
        }
        Part::Files(..) => Err(Error::Data(
            "pictures that are decoded as they are needed are streamed, not put on a device as a whole: leave out data.stream"
                .to_string(),
        )),
        Part::Labels(values) | Part::Starts(values) => Ok(index(values)),
        Part::WindowRows(WindowRows::Floats { values, columns }) => {
            let shape = [values.len() / (*columns).max(1), *columns];
            Ok(Tensor::real(shape, values.clone()))
        }
        Part::WindowRows(WindowRows::Tokens { tokens, .. }) => Ok(index(tokens)),
    }
    };
    parts(set)
        .into_iter()
        .map(|(name, part)| Ok((name, tensor(part)?)))
        .collect()
}

/// A batch that is assembled on the host: the [`variables`] of a set that consists of these samples alone.
pub(crate) struct HostBatch {
    batch: usize,
    pub variables: Vec<(&'static str, Tensor<f32>)>,
}

impl HostBatch {
    /// An empty batch with memory for `batch` samples.
    pub fn new(set: &Samples, batch: usize) -> Self {
        let span = set.starts().map_or(1, |starts| starts.span);
        let index = |count: usize| Tensor::index([count], vec![0; count]);
        let room = |part| match part {
            Part::Bytes(_, each) | Part::Files(each) => index((batch * each).div_ceil(4)),
            Part::Labels(_) | Part::Starts(_) => index(batch),
            Part::WindowRows(WindowRows::Floats { columns, .. }) => {
                Tensor::real([batch * span, *columns], vec![0.0; batch * span * columns])
            }
            Part::WindowRows(WindowRows::Tokens { .. }) => index(batch * span),
        };
        let variables = parts(set)
            .into_iter()
            .map(|(name, part)| (name, room(part)))
            .collect();
        HostBatch { batch, variables }
    }

    /// Fills the batch with the samples `indices`; the last sample is repeated until the batch is full.
    ///
    /// # Errors
    /// If a picture can't be decoded.
    fn fill(&mut self, source: &mut BatchSource<'_>, indices: &[u32]) -> Result<(), DataError> {
        let BatchSource {
            set,
            parts,
            starts,
            decoders,
            scratch,
        } = source;
        let last = indices.len() - 1;
        let index = |i: usize| indices[i.min(last)] as usize;
        let own = set.starts().map(|starts| (&starts.first[..], starts.span));
        let (own, span) = own.unwrap_or((&[], 1));
        let starts = starts.unwrap_or(own);
        let start = |i: usize| starts[index(i)] as usize;
        for ((_, part), (_, tensor)) in parts.iter().zip(&mut self.variables) {
            match *part {
                Part::Bytes(bytes, each) => {
                    scratch.clear();
                    (0..self.batch).for_each(|i| {
                        scratch.extend_from_slice(&bytes[index(i) * each..][..each]);
                    });
                    put_bytes(tensor, scratch);
                }
                Part::Files(each) => {
                    scratch.clear();
                    for _ in indices {
                        // A thread only ends early if it panicked.
                        let decoded = decoders.as_mut().and_then(Decoders::next);
                        let decoded = decoded.ok_or(DataError::Stopped)??;
                        scratch.extend_from_slice(decoded.bytes());
                    }
                    for _ in indices.len()..self.batch {
                        scratch.extend_from_within(scratch.len() - each..);
                    }
                    put_bytes(tensor, scratch);
                }
                Part::Labels(labels) => {
                    for (i, label) in tensor.indices_mut().iter_mut().enumerate() {
                        *label = labels[index(i)];
                    }
                }
                Part::Starts(_) => {
                    for (i, start) in tensor.indices_mut().iter_mut().enumerate() {
                        *start = (i * span) as u32;
                    }
                }
                Part::WindowRows(WindowRows::Floats { values, columns }) => {
                    copy_rows(tensor.reals_mut(), values, span * columns, *columns, start);
                }
                Part::WindowRows(WindowRows::Tokens { tokens, .. }) => {
                    copy_rows(tensor.indices_mut(), tokens, span, 1, start);
                }
            }
        }
        Ok(())
    }
}

/// What batches are filled from.
struct BatchSource<'a> {
    set: &'a Samples,
    parts: Vec<(&'static str, Part<'a>)>,
    /// First rows of windows, if they are not those of the set.
    starts: Option<&'a [u32]>,
    /// The pictures in the order of the pass, if they are on disk.
    decoders: Option<PictureDecoders>,
    /// Memory that is used again.
    scratch: Vec<u8>,
}

type PictureDecoders = Decoders<Result<Decoded, DataError>>;

/// Puts `bytes` into a variable, four to a word.
fn put_bytes(tensor: &mut Tensor<f32>, bytes: &[u8]) {
    for (place, word) in tensor.indices_mut().iter_mut().zip(words(bytes)) {
        *place = word;
    }
}

/// Copies the rows that each sample of a batch needs, one sample after another.
fn copy_rows<E: Copy>(
    places: &mut [E],
    values: &[E],
    each: usize,
    columns: usize,
    start: impl Fn(usize) -> usize,
) {
    for (i, rows) in places.chunks_exact_mut(each).enumerate() {
        rows.copy_from_slice(&values[start(i) * columns..][..each]);
    }
}

/// Batches from a thread that assembles a few batches ahead.
pub(crate) struct BatchStream {
    filled: mpsc::Receiver<Result<HostBatch>>,
    used: mpsc::SyncSender<HostBatch>,
    /// The time that the threads which decode pictures waited for room, if there are any.
    decoders_waited: Option<Waited>,
}

impl BatchStream {
    /// Starts the thread, which assembles the batches of `pass` after the first `skipped` samples, and those that decode pictures.
    pub fn new(set: Arc<Samples>, pass: Pass, skipped: usize, batch: usize) -> BatchStream {
        // Pictures that are decoded in time are ahead of the batches, too.
        let ahead = if set.are_on_disk() { 2 } else { 4 };
        let (sender, filled) = mpsc::sync_channel(ahead);
        // There is room for all batches: those ahead, the one being filled and the one being read.
        let (used, spare) = mpsc::sync_channel::<HostBatch>(ahead + 2);
        let order: Arc<[u32]> = pass.order[skipped..].into();
        let files = set.fields().iter().find_map(|field| match &field.values {
            FieldValues::Files(files) => Some(files),
            _ => None,
        });
        let decoders = files.map(|files| files.decoders(order.clone()));
        let decoders_waited = decoders.as_ref().map(Decoders::waited);
        std::thread::spawn(move || {
            let mut source = BatchSource {
                set: &set,
                parts: parts(&set),
                starts: pass.starts.as_deref(),
                decoders,
                scratch: Vec::new(),
            };
            for indices in order.chunks(batch) {
                let spare = spare.try_recv();
                let mut next = spare.unwrap_or_else(|_| HostBatch::new(&set, batch));
                let filled = next.fill(&mut source, indices);
                let filled = filled.map(|()| next).map_err(Error::from);
                let failed = filled.is_err();
                // If nobody receives it, the run ended before the end of the epoch.
                if sender.send(filled).is_err() || failed {
                    return;
                }
            }
        });
        BatchStream {
            filled,
            used,
            decoders_waited,
        }
    }

    /// The next batch, if it is ready.
    ///
    /// # Errors
    /// If a picture can't be decoded.
    pub fn ready(&self) -> Result<Option<HostBatch>> {
        self.filled.try_recv().ok().transpose()
    }

    /// The next batch, for which this waits.
    ///
    /// # Errors
    /// If a picture can't be decoded, or the thread stopped without a next batch.
    pub fn next(&self) -> Result<HostBatch> {
        let next = self.filled.recv();
        next.unwrap_or_else(|_| Err(DataError::Stopped.into()))
    }

    /// Returns a batch to the thread, which reuses its memory.
    pub fn give_back(&self, batch: HostBatch) {
        let _ = self.used.try_send(batch);
    }

    /// The mean time that the threads which decode pictures waited for room so far; `None` if there are none.
    pub fn decoders_waited(&self) -> Option<Duration> {
        let waited = self.decoders_waited.as_ref()?;
        Some(waited.time() / decoding_threads() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageSet, RowSet, Targets};

    fn listed(order: &[u32]) -> Pass {
        Pass {
            order: order.to_vec(),
            starts: None,
        }
    }

    #[test]
    fn samples_that_begin_anywhere_end_within_the_rows_and_stream_as_drawn() {
        let set = RowSet {
            rows: WindowRows::Tokens {
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
        // A window takes three rows and the next one.
        assert_eq!(starts.iter().max(), Some(&6));
        assert_ne!(starts, Pass::of_epoch(&set, 1, 1).starts.unwrap());
        let batch = BatchStream::new(Arc::new(set), pass, 4, 2).next().unwrap();
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
        let stream = BatchStream::new(Arc::new(set.into()), listed(&[2, 0, 1]), 0, 2);
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
            rows: WindowRows::Floats {
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
        let stream = BatchStream::new(Arc::new(set.into()), listed(&[0, 1, 2]), 1, 2);
        let batch = stream.next().unwrap();
        let [(_, rows), (_, values), (_, starts)] = &batch.variables[..] else {
            panic!("rows, values and starts");
        };
        assert_eq!(
            rows.reals(),
            [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
        );
        assert_eq!(starts.indices(), [0, 3]);
        assert_eq!(values.reals(), [12.0, 13.0, 14.0, 11.0, 12.0, 13.0]);
    }
}
