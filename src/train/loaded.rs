//! Data sets on the device: whole, or with room for one batch.

use super::engine::{Engine, Memory};
use super::graphs::DataShape;
use super::source::{self, Stream};
use crate::cpu::Tensor;
use crate::data::ImageSet;
use crate::error::Result;
use crate::settings::Settings;
use std::sync::Arc;

/// A set as the device sees it.
pub(super) struct Loaded {
    pub shape: DataShape,
    pub set: Arc<ImageSet>,
    pub streamed: bool,
    names: Names,
}

/// Names of the set's variables.
struct Names {
    images: String,
    labels: String,
    order: String,
}

impl Loaded {
    /// Begins a pass over the set's samples in `order`: a set that is on the device is told the order; for a streamed one,
    /// starts the thread that reads them, after the first `skipped`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn begin(
        &self,
        engine: &Engine,
        memory: &mut Memory,
        mut order: Vec<u32>,
        skipped: usize,
    ) -> Result<Option<Stream>> {
        if self.streamed {
            order.drain(..skipped);
            let stream = Stream::new(self.set.clone(), order, self.shape.batch);
            return Ok(Some(stream));
        }
        let order = Tensor::index([order.len()], order);
        memory.set(engine, &self.names.order, &order)?;
        Ok(None)
    }

    /// Puts the next streamed batch where the graph reads it.
    ///
    /// # Errors
    /// If the device or the thread that reads failed.
    pub fn feed(&self, engine: &Engine, memory: &mut Memory, stream: &Stream) -> Result<()> {
        let batch = stream.next()?;
        memory.set(engine, &self.names.images, &batch.images)?;
        memory.set(engine, &self.names.labels, &batch.labels)?;
        stream.give_back(batch);
        Ok(())
    }

    /// Where the sample number `at` of a pass is found: a streamed batch begins at the first.
    pub fn cursor(&self, at: usize) -> usize {
        if self.streamed { 0 } else { at }
    }
}

/// How a set lies on the device, and whether it is to be streamed: then there is room for one batch.
pub(super) fn placed(
    engine: &Engine,
    settings: &Settings,
    name: &'static str,
    set: &ImageSet,
    batch: usize,
) -> (DataShape, bool) {
    let fits = set.images.len() as u64 <= engine.max_tensor_bytes();
    let streamed = settings.data.stream.unwrap_or(!fits);
    let shape = DataShape {
        set: name,
        samples: if streamed { batch } else { set.len() },
        batch,
        sample: vec![set.height, set.width, set.channels],
    };
    (shape, streamed)
}

/// Puts a set on the device, or room for one batch of it if it is to be streamed.
pub(super) fn load(
    engine: &Engine,
    memory: &mut Memory,
    shape: DataShape,
    streamed: bool,
    set: Arc<ImageSet>,
) -> Result<Loaded> {
    let (images, labels) = if streamed {
        (
            Tensor::zeros(&shape.images()),
            Tensor::zeros(&shape.per_sample()),
        )
    } else {
        let words = source::pack(&set.images);
        (
            Tensor::index([words.len()], words),
            Tensor::index([set.len()], set.labels.clone()),
        )
    };
    let order = (0..shape.samples as u32).collect();
    let order = Tensor::index([shape.samples], order);
    let names = Names {
        images: shape.name("images"),
        labels: shape.name("labels"),
        order: shape.name("order"),
    };
    memory.set(engine, &names.images, &images)?;
    memory.set(engine, &names.labels, &labels)?;
    memory.set(engine, &names.order, &order)?;
    Ok(Loaded {
        shape,
        set,
        streamed,
        names,
    })
}
