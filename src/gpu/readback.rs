//! A ring of staging buffers that returns small results while the device continues to work.

use super::Gpu;
use crate::error::{Error, Result};
use crate::tensor::{DType, TensorType};
use std::sync::mpsc;
use std::time::Duration;

/// Maximum delay of a callback after the device has finished the corresponding work.
const CALLBACK_PATIENCE: Duration = Duration::from_secs(10);

/// Copies a few `f32` variables to the host without waiting for the device.
pub struct Readback {
    sources: Vec<(TensorType, wgpu::Buffer)>,
    slots: Vec<Slot>,
    next: usize,
    oldest: usize,
    pending: usize,
    /// The values of the last [`Readback::take`].
    values: Vec<f32>,
}

struct Slot {
    staging: wgpu::Buffer,
    sender: mpsc::SyncSender<bool>,
    receiver: mpsc::Receiver<bool>,
    submission: Option<wgpu::SubmissionIndex>,
}

impl Readback {
    /// A ring of `depth` slots for `sources`.
    ///
    /// # Errors
    /// If a source is not `f32`, or the device is out of memory.
    pub fn new(gpu: &Gpu, sources: Vec<(TensorType, wgpu::Buffer)>, depth: usize) -> Result<Self> {
        if let Some((ty, _)) = sources.iter().find(|(ty, _)| ty.dtype != DType::F32) {
            return Err(Error::Graph(format!("a {ty} can't be read back as f32")));
        }
        let bytes: u64 = sources.iter().map(|(ty, _)| ty.bytes() as u64).sum();
        let slots = (0..depth)
            .map(|_| {
                let staging = gpu.scoped("a staging buffer", || {
                    gpu.device.create_buffer(&wgpu::BufferDescriptor {
                        label: Some("readback"),
                        size: bytes,
                        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                        mapped_at_creation: false,
                    })
                })?;
                let (sender, receiver) = mpsc::sync_channel(1);
                Ok(Slot {
                    staging,
                    sender,
                    receiver,
                    submission: None,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Readback {
            sources,
            slots,
            next: 0,
            oldest: 0,
            pending: 0,
            values: Vec::with_capacity(bytes as usize / 4),
        })
    }

    /// Whether there is room for another [`Readback::request`] before the next [`Readback::take`].
    pub fn has_room(&self) -> bool {
        self.pending < self.slots.len()
    }

    /// Requests the values as of all work submitted so far.
    ///
    /// # Errors
    /// If the ring is full.
    pub fn request(&mut self, gpu: &Gpu) -> Result<()> {
        if !self.has_room() {
            return Err(Error::Device("the readback ring is full".to_string()));
        }
        let slot = &mut self.slots[self.next];
        let submission = gpu.submit(|encoder| {
            let mut at = 0;
            for (ty, buffer) in &self.sources {
                let bytes = ty.bytes() as u64;
                encoder.copy_buffer_to_buffer(buffer, 0, &slot.staging, at, bytes);
                at += bytes;
            }
        })?;
        slot.submission = Some(submission);
        let sender = slot.sender.clone();
        gpu.map(&slot.staging, move |mapped| {
            let _ = sender.send(mapped);
        })?;
        self.next = (self.next + 1) % self.slots.len();
        self.pending += 1;
        Ok(())
    }

    /// The values of the oldest request, those of all variables concatenated. `None` if they are not available yet or
    /// there is no request; with `wait`, only if there is no request.
    ///
    /// # Errors
    /// If the device failed.
    pub fn take(&mut self, gpu: &Gpu, wait: bool) -> Result<Option<&[f32]>> {
        if self.pending == 0 {
            return Ok(None);
        }
        let slot = &self.slots[self.oldest];
        let poll = match (&slot.submission, wait) {
            (Some(submission), true) => wgpu::PollType::Wait {
                submission_index: Some(submission.clone()),
                timeout: None,
            },
            _ => wgpu::PollType::Poll,
        };
        gpu.poll(poll)?;
        let mapped = if wait {
            // Another thread's poll may have taken the callback without having run it yet.
            slot.receiver
                .recv_timeout(CALLBACK_PATIENCE)
                .unwrap_or(false)
        } else {
            match slot.receiver.try_recv() {
                Ok(mapped) => mapped,
                Err(_) => return Ok(None),
            }
        };
        if !mapped {
            return Err(gpu.unread("the buffer was not mapped"));
        }
        let values = &mut self.values;
        gpu.mapped(&slot.staging, |view| {
            let words = view.chunks_exact(4);
            values.clear();
            values.extend(words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        })?;
        self.oldest = (self.oldest + 1) % self.slots.len();
        self.pending -= 1;
        Ok(Some(&self.values))
    }
}
