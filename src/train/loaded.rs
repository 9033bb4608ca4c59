//! Data sets on the device: whole, or with room for one batch.

use crate::cpu::Tensor;
use crate::data::{BatchStream, HostBatch, Pass, Samples, SetLayout, variables};
use crate::device::Device;
use crate::error::{Error, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A set on a device.
pub(crate) struct Loaded {
    pub layout: SetLayout,
    /// The samples, without pixels of images that are on the device.
    pub set: Arc<Samples>,
    pub streamed: bool,
    /// Full names of the set's variables, in their order.
    names: Vec<String>,
    /// Name of the variable with the order of the samples.
    order: String,
}

impl Loaded {
    /// Puts a set on the device or, if it is streamed, allocates one batch.
    ///
    /// # Errors
    /// If device memory is too small.
    pub fn new(
        device: &mut dyn Device,
        layout: SetLayout,
        streamed: bool,
        mut set: Samples,
    ) -> Result<Loaded> {
        let variables = match streamed {
            true => HostBatch::new(&set, layout.batch).variables,
            false => variables(&set)?,
        };
        let names: Vec<String> = variables
            .iter()
            .map(|(part, _)| layout.name(part))
            .collect();
        for (name, (_, value)) in names.iter().zip(&variables) {
            device.set(name, value).map_err(|error| match error {
                Error::Memory(message) if !streamed => Error::Memory(format!(
                    "{message}; with --set data.stream=true only one batch of the data is on the device at a time"
                )),
                error => error,
            })?;
        }
        drop(variables);
        if !streamed {
            set.release_pixels();
        }
        let order = layout.name("order");
        let visited = 0..layout.visits();
        let visited = visited.map(|place| (place % layout.samples.max(1)) as u32);
        device.set(&order, &Tensor::index([layout.visits()], visited.collect()))?;
        Ok(Loaded {
            layout,
            set: Arc::new(set),
            streamed,
            names,
            order,
        })
    }

    /// Begins `pass` over the set's samples, after the first `skipped`: sets the order of a set on the device, or starts the thread
    /// that reads a streamed one.
    ///
    /// # Errors
    /// If the device failed.
    pub fn begin(
        &self,
        device: &mut dyn Device,
        pass: Pass,
        skipped: usize,
    ) -> Result<Option<BatchStream>> {
        if self.streamed {
            let stream = BatchStream::new(self.set.clone(), pass, skipped, self.layout.batch);
            return Ok(Some(stream));
        }
        let index = |values: Vec<u32>| Tensor::index([values.len()], values);
        let mut visited = pass.order;
        visited.resize(self.layout.visits(), 0);
        device.set(&self.order, &index(visited))?;
        if let Some(starts) = pass.starts {
            device.set(&self.layout.name("starts"), &index(starts))?;
        }
        Ok(None)
    }

    /// Uploads the next streamed batch. Returns the time that the device waited for it, with nothing left to do.
    ///
    /// # Errors
    /// If the device or the thread that reads failed.
    pub fn feed(&self, device: &mut dyn Device, stream: &BatchStream) -> Result<Duration> {
        let mut waited = Duration::ZERO;
        let batch = match stream.ready()? {
            Some(batch) => batch,
            None => {
                // What was submitted before is computed while the data are read.
                device.wait()?;
                let start = Instant::now();
                let batch = stream.next()?;
                waited = start.elapsed();
                batch
            }
        };
        for (name, (_, value)) in self.names.iter().zip(&batch.variables) {
            device.set(name, value)?;
        }
        stream.give_back(batch);
        Ok(waited)
    }

    /// The position of sample number `at` of a pass: 0 for a streamed batch.
    pub fn cursor(&self, at: usize) -> usize {
        if self.streamed { 0 } else { at }
    }
}
