//! A ring of staging buffers: small results come back while the device works on.

use super::{Gpu, store};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::tensor::TensorType;
use std::time::Duration;

/// How long a callback may take after the device has done what it waits for.
const CALLBACK_PATIENCE: Duration = Duration::from_secs(10);

/// Copies a few variables to the host without waiting for the device.
pub struct Readback {
    sources: Vec<(TensorType, wgpu::Buffer)>,
    slots: Vec<Slot>,
    next: usize,
    oldest: usize,
    pending: usize,
}

struct Slot {
    staging: wgpu::Buffer,
    sender: flume::Sender<bool>,
    receiver: flume::Receiver<bool>,
    submission: Option<wgpu::SubmissionIndex>,
}

impl Readback {
    /// A ring of `depth` slots for `sources`.
    ///
    /// # Errors
    /// If the device is out of memory.
    pub fn new(gpu: &Gpu, sources: Vec<(TensorType, wgpu::Buffer)>, depth: usize) -> Result<Self> {
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
                let (sender, receiver) = flume::bounded(1);
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
        })
    }

    /// Whether another [`Readback::request`] fits before one is taken.
    pub fn has_room(&self) -> bool {
        self.pending < self.slots.len()
    }

    /// Asks for the values as they are after everything submitted so far.
    ///
    /// # Errors
    /// If the ring is full.
    pub fn request(&mut self, gpu: &Gpu) -> Result<()> {
        if !self.has_room() {
            return Err(Error::Device("the readback ring is full".to_string()));
        }
        let slot = &mut self.slots[self.next];
        let mut encoder = gpu
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut at = 0;
        for (ty, buffer) in &self.sources {
            let bytes = ty.bytes() as u64;
            encoder.copy_buffer_to_buffer(buffer, 0, &slot.staging, at, bytes);
            at += bytes;
        }
        slot.submission = Some(gpu.queue.submit([encoder.finish()]));
        let sender = slot.sender.clone();
        slot.staging
            .map_async(wgpu::MapMode::Read, .., move |result| {
                let _ = sender.send(result.is_ok());
            });
        self.next = (self.next + 1) % self.slots.len();
        self.pending += 1;
        Ok(())
    }

    /// The oldest values that were asked for: `None` if they are not there yet, or (the only case
    /// with `wait`) none were asked for.
    ///
    /// # Errors
    /// If the device failed.
    pub fn take(&mut self, gpu: &Gpu, wait: bool) -> Result<Option<Vec<Tensor<f32>>>> {
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
        let polled = gpu.device.poll(poll);
        gpu.check()?;
        polled.map_err(|e| Error::Device(format!("{} does not finish: {e}", gpu.info.name)))?;
        let mapped = if wait {
            // Another thread's poll may have taken the callback and not yet have run it.
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
            return Err(Error::Device(format!(
                "{}: reading back failed",
                gpu.info.name
            )));
        }
        let values = {
            let view = slot.staging.get_mapped_range(..).map_err(|e| {
                Error::Device(format!("{}: reading back failed: {e}", gpu.info.name))
            })?;
            let mut at = 0;
            self.sources
                .iter()
                .map(|(ty, _)| {
                    let bytes = view[at..at + ty.bytes()].to_vec();
                    at += ty.bytes();
                    store::tensor(ty, bytes)
                })
                .collect::<Result<Vec<_>>>()?
        };
        slot.staging.unmap();
        self.oldest = (self.oldest + 1) % self.slots.len();
        self.pending -= 1;
        Ok(Some(values))
    }
}
