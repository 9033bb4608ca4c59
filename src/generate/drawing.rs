//! Images that a trained run draws from noise.

use crate::data::{Batch, Fitted};
use crate::device::{Device, Engine, ProgramId};
use crate::error::{Error, Result};
use crate::graph::Builder;
use crate::nn::Forward;
use crate::plan::Scalar;
use crate::run::RunParts;
use crate::tasks::{StepGraph, picture_file};

/// Images per batch. Sample i is the same, however many are drawn.
const BATCH: usize = 64;
const SAMPLES: &str = "samples";

/// Trained models on an engine that draw images.
pub struct Drawing<'e> {
    device: Box<dyn Device + 'e>,
    program: ProgramId,
    fitted: Fitted,
}

impl<'e> Drawing<'e> {
    /// Puts the models of a run on `engine`, to draw from noise with `seed`.
    ///
    /// # Errors
    /// If the task does not draw images, or device memory is too small.
    pub fn new(engine: &'e Engine, mut parts: RunParts, seed: u64) -> Result<Drawing<'e>> {
        let builder = Builder::new();
        let batch = Batch::fed(&builder, BATCH, []);
        let forward = Forward::evaluation(&builder);
        let mut step = StepGraph::new(batch, forward, &parts.models).with_noise_seed(seed);
        let drawn = parts.task.draw(&mut step)?;
        step.output(SAMPLES, drawn);
        step.forward.finish()?;
        let graph = builder.finish()?;
        let mut device = engine.device();
        let planned = device.plan(graph)?;
        let values = parts.initial();
        parts.models.put(&mut *device, &values)?;
        let program = device.prepare(planned)?;
        Ok(Drawing {
            device,
            program,
            fitted: parts.fitted,
        })
    }

    /// Draws `count` images and passes each as a PNG file to `take`, with its number from 0.
    ///
    /// # Errors
    /// If the output is not a grey or colour image, or the device or `take` failed.
    pub fn draw(
        &mut self,
        count: usize,
        mut take: impl FnMut(usize, Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        for first in (0..count).step_by(BATCH) {
            let scalar = |name: &String| match name.as_str() {
                "step" => Ok(Scalar::from(first / BATCH)),
                "valid" => Ok(Scalar::from(BATCH)),
                other => Err(Error::Graph(format!("the input {other} has no value"))),
            };
            let names = self.device.scalar_names(self.program);
            let scalars = names.iter().map(scalar).collect::<Result<Vec<Scalar>>>()?;
            self.device.run(self.program, 1, &scalars)?;
            let drawn = self.device.output(self.program, SAMPLES)?;
            let shape = drawn.dims().get(1..).unwrap_or_default();
            let each = shape.iter().product::<usize>().max(1);
            let pictures = drawn.reals().chunks_exact(each).take(count - first);
            for (place, picture) in pictures.enumerate() {
                let file = picture_file(shape, picture, &self.fitted)?;
                let file = file.ok_or_else(|| {
                    Error::Config(format!(
                        "the model draws {shape:?} for each sample, which is not a grey or colour image"
                    ))
                })?;
                take(first + place, file)?;
            }
        }
        Ok(())
    }
}
