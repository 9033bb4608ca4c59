//! How samples reach the device: the whole set once, or batch by batch from a thread that reads ahead.

use crate::cpu::Tensor;
use crate::data::{ImageSet, sequential, shuffled};
use std::sync::Arc;

/// Bytes packed four to a word, little endian, the last word filled up with zeros.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u32> {
    let mut words = Vec::with_capacity(bytes.len().div_ceil(4));
    let chunks = bytes.chunks_exact(4);
    let rest = chunks.remainder();
    words.extend(chunks.map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        words.push(u32::from_le_bytes(last));
    }
    words
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

/// Starts a thread that puts the batches of `order` together and stays a few ahead. The last batch is filled up by
/// repeating its last sample.
pub(super) fn stream(
    set: Arc<ImageSet>,
    order: Vec<u32>,
    batch: usize,
) -> flume::Receiver<HostBatch> {
    const AHEAD: usize = 4;
    let (sender, receiver) = flume::bounded(AHEAD);
    std::thread::spawn(move || {
        for indices in order.chunks(batch) {
            let last = indices.len() - 1;
            let picked = (0..batch).map(|i| indices[i.min(last)] as usize);
            let mut bytes = Vec::with_capacity(batch * set.height * set.width * set.channels);
            let mut labels = Vec::with_capacity(batch);
            for index in picked {
                bytes.extend_from_slice(set.image(index));
                labels.push(set.labels[index]);
            }
            let words = pack(&bytes);
            let images = Tensor::index([words.len()], words);
            let sent = sender.send(HostBatch {
                images,
                labels: Tensor::index([batch], labels),
            });
            if sent.is_err() {
                // The session ended before the epoch did.
                return;
            }
        }
    });
    receiver
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
        let batches: Vec<HostBatch> = stream(Arc::new(set), vec![2, 0, 1], 2).iter().collect();
        let labels: Vec<&[u32]> = batches.iter().map(|b| b.labels.indices()).collect();
        assert_eq!(labels, [&[2, 0], &[1, 1]]);
        assert_eq!(batches[1].images.indices(), [0x0b0b]);
    }
}
