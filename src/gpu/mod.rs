//! Runs plans on an adapter through wgpu.

mod adapter;
mod commands;
mod pipelines;
mod program;
mod readback;
mod store;
mod timestamps;

pub use adapter::{AdapterChoice, AdapterSummary, INSTALL_HINT, adapters};
pub use program::{MAX_STEPS_PER_SUBMIT, Program};
pub use readback::Readback;
pub use store::Store;
pub use timestamps::Span;

use crate::error::{Error, Result};
use crate::plan::Target;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// An open device and its queue.
pub struct Gpu {
    /// The wgpu device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// Its adapter.
    pub info: wgpu::AdapterInfo,
    /// The planner's view of the adapter.
    pub target: Target,
    failure: Arc<Mutex<Option<String>>>,
    pipelines: pipelines::PipelineCache,
}

impl Gpu {
    /// Opens the adapter selected by `choice`.
    ///
    /// # Errors
    /// If there is no such adapter, or it fails to open a device.
    pub fn open(choice: &AdapterChoice) -> Result<Gpu> {
        let adapter = adapter::find(choice)?;
        let info = adapter.get_info();
        let features = adapter::wanted_features(&adapter);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("wgrad"),
            required_features: features,
            required_limits: adapter.limits(),
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|e| Error::Device(format!("{} does not open a device: {e}", info.name)))?;
        let failure: Arc<Mutex<Option<String>>> = Arc::default();
        let lost = failure.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                note(&lost, format!("the device was lost: {message}"));
            }
        });
        let uncaptured = failure.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            note(&uncaptured, e.to_string())
        }));
        let target = adapter::target(&adapter);
        Ok(Gpu {
            device,
            queue,
            info,
            target,
            failure,
            pipelines: pipelines::PipelineCache::default(),
        })
    }

    /// Checks that the device has not been lost and has not reported an error since it was opened.
    ///
    /// # Errors
    /// The error that the device reported.
    pub fn check(&self) -> Result<()> {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(message) => Err(Error::Device(format!(
                "{}: {message}; resume from the last checkpoint, which is intact",
                self.info.name
            ))),
            None => Ok(()),
        }
    }

    /// Runs `create` and converts errors that the device reports meanwhile to an error that names `what`.
    ///
    /// # Errors
    /// If the device is out of memory or rejects what is created.
    pub(crate) fn scoped<R>(&self, what: &str, create: impl FnOnce() -> R) -> Result<R> {
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let created = create();
        let (memory, validation) = (
            pollster::block_on(memory.pop()),
            pollster::block_on(validation.pop()),
        );
        if memory.is_some() {
            return Err(Error::Memory(format!(
                "{} is out of memory for {what}; use a smaller batch or model",
                self.info.name
            )));
        }
        match validation {
            Some(e) => Err(Error::Device(format!(
                "{} refuses {what}: {e}",
                self.info.name
            ))),
            None => Ok(created),
        }
    }

    /// Creates a zeroed buffer of `bytes` for kernels and copies.
    ///
    /// # Errors
    /// If the device is out of memory.
    pub(crate) fn buffer(
        &self,
        what: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer> {
        let descriptor = wgpu::BufferDescriptor {
            label: Some(what),
            size: bytes,
            usage: usage | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        self.scoped(what, || self.device.create_buffer(&descriptor))
    }

    /// Waits for all submitted work.
    ///
    /// # Errors
    /// If the device fails.
    pub fn wait(&self) -> Result<()> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        polled
            .map(|_| ())
            .map_err(|e| Error::Device(format!("{} does not finish: {e}", self.info.name)))
    }

    /// Waits for all submitted work and returns the first `bytes` of `buffer`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn read(&self, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>> {
        let size = bytes.next_multiple_of(4);
        let staging = self.scoped("a staging buffer", || {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })?;
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result);
        });
        self.wait()?;
        // Another thread's poll may have taken the callback without having run it yet: wait until it has.
        match receiver.recv() {
            Ok(Ok(())) => {
                let view = staging.get_mapped_range(..).map_err(|e| {
                    Error::Device(format!("{}: reading back failed: {e}", self.info.name))
                })?;
                Ok(view[..bytes as usize].to_vec())
            }
            _ => Err(Error::Device(format!(
                "{}: reading back failed",
                self.info.name
            ))),
        }
    }

    /// Whether the device supports timestamps, which [`Program::run_timed`] needs.
    pub fn has_timestamps(&self) -> bool {
        self.device
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Bytes that the device has allocated, if the backend reports it.
    pub fn allocated_bytes(&self) -> Option<u64> {
        self.device
            .generate_allocator_report()
            .map(|report| report.total_allocated_bytes)
    }
}

fn note(failure: &Mutex<Option<String>>, message: String) {
    failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert(message);
}
