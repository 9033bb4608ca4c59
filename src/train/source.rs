//! How samples reach the device: the whole set once, or batch by batch from a thread that reads ahead.

use crate::cpu::Tensor;
use crate::data::{ImageSet, sequential, shuffled};
use crate::error::{Error, Result};
use crate::tensor::TensorType;
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

/// The order in which an epoch visits the samples.
pub(super) fn order(samples: usize, shuffle: bool, seed: u64, epoch: u32) -> Vec<u32> {
    if shuffle {
        shuffled(samples, seed, epoch)
    } else {
        sequential(samples)
    }
}

/// A batch that was put together on the host.
pub(super) struct HostBatch {
    pub images: Tensor<f32>,
    pub labels: Tensor<f32>,
}

impl HostBatch {
    fn new(set: &ImageSet, batch: usize) -> Self {
        let bytes = batch * set.height * set.width * set.channels;
        HostBatch {
            images: Tensor::zeros(&TensorType::u32([bytes.div_ceil(4)])),
            labels: Tensor::zeros(&TensorType::u32([batch])),
        }
    }

    /// Takes the samples `indices` of `set`, the last of them again until the batch is full. `bytes` is scratch.
    fn fill(&mut self, set: &ImageSet, indices: &[u32], bytes: &mut Vec<u8>) {
        let last = indices.len() - 1;
        bytes.clear();
        for (i, label) in self.labels.indices_mut().iter_mut().enumerate() {
            let index = indices[i.min(last)] as usize;
            bytes.extend_from_slice(set.image(index));
            *label = set.labels[index];
        }
        for (place, word) in self.images.indices_mut().iter_mut().zip(words(bytes)) {
            *place = word;
        }
    }
}

/// Batches from a thread that stays a few ahead.
pub(super) struct Stream {
    filled: mpsc::Receiver<HostBatch>,
    used: mpsc::SyncSender<HostBatch>,
}

impl Stream {
    /// Starts the thread that puts the batches of `order` together.
    pub fn new(set: Arc<ImageSet>, order: Vec<u32>, batch: usize) -> Stream {
        const AHEAD: usize = 4;
        let (sender, filled) = mpsc::sync_channel(AHEAD);
        // Room for all there are: those ahead, the one that is filled and the one that is read.
        let (used, spare) = mpsc::sync_channel(AHEAD + 2);
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            for indices in order.chunks(batch) {
                let spare = spare.try_recv();
                let mut next = spare.unwrap_or_else(|_| HostBatch::new(&set, batch));
                next.fill(&set, indices, &mut bytes);
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
        let stream = Stream::new(Arc::new(set), vec![2, 0, 1], 2);
        let first = stream.next().unwrap();
        assert_eq!(first.labels.indices(), [2, 0]);
        stream.give_back(first);
        let second = stream.next().unwrap();
        assert_eq!(second.labels.indices(), [1, 1]);
        assert_eq!(second.images.indices(), [0x0b0b]);
        assert!(stream.next().is_err());
    }
}
