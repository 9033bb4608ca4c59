//! Data sets on the device: whole, or with room for one batch.

use super::engine::{Engine, Memory};
use super::graphs::DataShape;
use super::source;
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
    memory.set(engine, &shape.name("images"), images)?;
    memory.set(engine, &shape.name("labels"), labels)?;
    let order = (0..shape.samples as u32).collect();
    memory.set(
        engine,
        &shape.name("order"),
        Tensor::index([shape.samples], order),
    )?;
    Ok(Loaded {
        shape,
        set,
        streamed,
    })
}
