//! Data sets on the device: whole, or with room for one batch.

use super::graphs::DataShape;
use super::source::{self, HostBatch, Pass, Stream};
use crate::cpu::Tensor;
use crate::data::Samples;
use crate::device::Device;
use crate::error::Result;
use std::sync::Arc;

/// A set as the device sees it.
pub(super) struct Loaded {
    pub shape: DataShape,
    /// Without the pixels of images that are on the device.
    pub set: Arc<Samples>,
    pub streamed: bool,
    /// Full names of the variables of [`source::variables`], in that order.
    names: Vec<String>,
    /// Name of the variable that says in which order samples come.
    order: String,
}

impl Loaded {
    /// Begins `pass` over the set's samples: a set that is on the device is told of it; for a streamed one, starts the thread
    /// that reads them, after the first `skipped`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn begin(
        &self,
        device: &mut dyn Device,
        pass: Pass,
        skipped: usize,
    ) -> Result<Option<Stream>> {
        if self.streamed {
            let stream = Stream::new(self.set.clone(), pass, skipped, self.shape.batch);
            return Ok(Some(stream));
        }
        let index = |values: Vec<u32>| Tensor::index([values.len()], values);
        device.set(&self.order, &index(pass.order))?;
        if let Some(starts) = pass.starts {
            device.set(&self.shape.name("starts"), &index(starts))?;
        }
        Ok(None)
    }

    /// Puts the next streamed batch where the graph reads it.
    ///
    /// # Errors
    /// If the device or the thread that reads failed.
    pub fn feed(&self, device: &mut dyn Device, stream: &Stream) -> Result<()> {
        let batch = stream.next()?;
        for (name, (_, value)) in self.names.iter().zip(&batch.variables) {
            device.set(name, value)?;
        }
        stream.give_back(batch);
        Ok(())
    }

    /// Where the sample number `at` of a pass is found: a streamed batch begins at the first.
    pub fn cursor(&self, at: usize) -> usize {
        if self.streamed { 0 } else { at }
    }
}

/// Puts a set on the device, or room for one batch of it if it is to be streamed.
pub(super) fn load(
    device: &mut dyn Device,
    shape: DataShape,
    streamed: bool,
    mut set: Samples,
) -> Result<Loaded> {
    let variables = match streamed {
        true => HostBatch::new(&set, shape.batch).variables,
        false => source::variables(&set),
    };
    let names: Vec<String> = variables.iter().map(|(part, _)| shape.name(part)).collect();
    for (name, (_, value)) in names.iter().zip(&variables) {
        device.set(name, value)?;
    }
    drop(variables);
    if let (false, Samples::Images(images)) = (streamed, &mut set) {
        images.images = Vec::new();
    }
    let order = shape.name("order");
    let visited = (0..shape.samples as u32).collect();
    device.set(&order, &Tensor::index([shape.samples], visited))?;
    Ok(Loaded {
        shape,
        set: Arc::new(set),
        streamed,
        names,
        order,
    })
}
