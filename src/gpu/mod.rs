//! Runs plans on an adapter through wgpu.

mod adapter;
mod allocation;
mod commands;
mod experimental;
mod known_faults;
mod pieces;
mod pipelines;
mod program;
mod readback;
mod scalars;
mod store;
#[cfg(test)]
mod tests;
mod timestamps;

pub use adapter::{AdapterChoice, AdapterSummary, INSTALL_HINT, adapters};
pub use allocation::has_room;
pub use known_faults::{KnownFault, known_faults};
pub use pipelines::Compilation;
pub use program::Program;
pub use readback::Readback;
pub use scalars::MAX_STEPS_PER_SUBMIT;
pub use store::Store;
pub use timestamps::Span;

use crate::error::{Error, Result};
use crate::guard::{Guarded, guarded};
use crate::plan::Target;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// An open device and its queue.
pub struct Gpu {
    device: Guarded<wgpu::Device>,
    queue: Guarded<wgpu::Queue>,
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
        let adapter = Guarded::new(adapter::find(choice)?);
        let info = adapter.get_info();
        let features = adapter::wanted_features(&adapter);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("wgrad"),
            required_features: features,
            required_limits: adapter.limits(),
            experimental_features: experimental::token(features),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let opened = guarded(|| pollster::block_on(adapter.request_device(&descriptor)));
        let opened = opened.and_then(|opened| opened.map_err(|e| e.to_string()));
        let (device, queue) = opened
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
            device: Guarded::new(device),
            queue: Guarded::new(queue),
            info,
            target,
            failure,
            pipelines: pipelines::PipelineCache::default(),
        })
    }

    /// Frees the compiled kernels that no program holds; programs made later compile theirs again.
    pub fn forget_pipelines(&self) {
        self.pipelines.clear();
    }

    /// Checks that the device has not been lost and has not reported an error since it was opened.
    ///
    /// # Errors
    /// The error that the device reported.
    pub fn check(&self) -> Result<()> {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(message) => Err(Error::Device(format!("{}: {message}", self.info.name))),
            None => Ok(()),
        }
    }

    /// Makes a call of wgpu. One that panics is an error, as are all calls after it.
    fn call<R>(&self, call: impl FnOnce() -> R) -> Result<R> {
        match guarded(call) {
            Ok(result) => Ok(result),
            Err(message) => {
                note(&self.failure, message.clone());
                Err(Error::Device(format!("{}: {message}", self.info.name)))
            }
        }
    }

    /// Commands recorded by `encode`.
    ///
    /// # Errors
    /// If the device failed.
    fn record(
        &self,
        encode: impl FnOnce(&mut wgpu::CommandEncoder),
    ) -> Result<wgpu::CommandBuffer> {
        self.call(|| {
            let descriptor = wgpu::CommandEncoderDescriptor::default();
            let mut encoder = self.device.create_command_encoder(&descriptor);
            encode(&mut encoder);
            encoder.finish()
        })
    }

    /// Submits the commands that `encode` records, without waiting.
    ///
    /// # Errors
    /// If the device failed.
    fn submit(
        &self,
        encode: impl FnOnce(&mut wgpu::CommandEncoder),
    ) -> Result<wgpu::SubmissionIndex> {
        let commands = self.record(encode)?;
        let submission = self.call(|| self.queue.submit([commands]))?;
        self.check()?;
        Ok(submission)
    }

    /// Writes `bytes` to the start of `buffer`, before what is submitted next. wgpu copies them to memory of the device first, and
    /// loses a device that has none left: so a long write waits for the copy of each piece, which frees that memory.
    ///
    /// # Errors
    /// If the device failed.
    fn write(&self, buffer: &wgpu::Buffer, bytes: &[u8]) -> Result<()> {
        const PIECE: usize = 16 << 20;
        for (number, piece) in bytes.chunks(PIECE).enumerate() {
            if number > 0 {
                self.submit(|_| ())?;
                self.wait()?;
            }
            let at = (number * PIECE) as u64;
            self.call(|| self.queue.write_buffer(buffer, at, piece))?;
        }
        self.check()
    }

    /// Waits for submitted work as `poll` says.
    ///
    /// # Errors
    /// If the device failed.
    fn poll(&self, poll: wgpu::PollType) -> Result<()> {
        let polled = self.call(|| self.device.poll(poll))?;
        self.check()?;
        polled
            .map(|_| ())
            .map_err(|e| Error::Device(format!("{} does not finish: {e}", self.info.name)))
    }

    /// Requests that `buffer` be mapped for reading; `done` is told whether it was.
    ///
    /// # Errors
    /// If the device failed.
    fn map(&self, buffer: &wgpu::Buffer, done: impl FnOnce(bool) + Send + 'static) -> Result<()> {
        self.call(|| {
            buffer.map_async(wgpu::MapMode::Read, .., move |result| done(result.is_ok()));
        })
    }

    /// Passes the bytes of the mapped `buffer` to `read` and unmaps it.
    ///
    /// # Errors
    /// If the device failed.
    fn mapped<R>(&self, buffer: &wgpu::Buffer, read: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let result = self.call(|| {
            let view = buffer.get_mapped_range(..).map_err(|e| e.to_string())?;
            let result = read(&view);
            drop(view);
            buffer.unmap();
            Ok(result)
        })?;
        result.map_err(|e: String| self.unread(&e))
    }

    fn unread(&self, why: &str) -> Error {
        Error::Device(format!("{}: reading back failed: {why}", self.info.name))
    }

    /// Runs `create` and converts errors that the device reports meanwhile to an error that names `what`.
    ///
    /// # Errors
    /// If the device is out of memory or rejects what is created.
    pub(crate) fn scoped<R>(&self, what: &str, create: impl FnOnce() -> R) -> Result<R> {
        let (created, memory, validation) = self.call(|| {
            let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
            let created = create();
            let memory = pollster::block_on(memory.pop());
            (created, memory, pollster::block_on(validation.pop()))
        })?;
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
        self.scoped(&described(what, bytes), || {
            self.device.create_buffer(&descriptor)
        })
    }

    /// Waits for all submitted work.
    ///
    /// # Errors
    /// If the device fails.
    pub fn wait(&self) -> Result<()> {
        self.poll(wgpu::PollType::wait_indefinitely())
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
        self.submit(|encoder| encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size))?;
        let (sender, receiver) = mpsc::channel();
        self.map(&staging, move |mapped| {
            let _ = sender.send(mapped);
        })?;
        self.wait()?;
        // Another thread's poll may have taken the callback without having run it yet: wait until it has.
        match receiver.recv() {
            Ok(true) => self.mapped(&staging, |view| view[..bytes as usize].to_vec()),
            _ => Err(self.unread("the buffer was not mapped")),
        }
    }

    /// The wgpu device, whose calls panic where those of this type return errors.
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// Whether the device supports timestamps, which [`Program::run_timed`] needs.
    pub fn has_timestamps(&self) -> bool {
        self.device
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// The progress of compiling kernels, which goes on while programs are prepared.
    pub fn compilation(&self) -> Arc<Compilation> {
        self.pipelines.compilation.clone()
    }

    /// Bytes that the device has allocated, if the backend reports it.
    pub fn allocated_bytes(&self) -> Option<u64> {
        self.device
            .generate_allocator_report()
            .map(|report| report.total_allocated_bytes)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // Drivers crash while they close a device that was lost, so that one stays open.
        if self.check().is_err() {
            std::mem::forget((
                wgpu::Device::clone(&self.device),
                wgpu::Queue::clone(&self.queue),
            ));
        }
    }
}

/// What is to be allocated, with its size.
fn described(what: &str, bytes: u64) -> String {
    format!("{what} ({} MiB)", bytes.div_ceil(1 << 20))
}

fn note(failure: &Mutex<Option<String>>, message: String) {
    failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert(message);
}
