//! A pass over the test set: loss, score, and what else is counted on the way.

use super::{Session, Stage, inputs, zero_metrics};
use crate::cpu::Tensor;
use crate::error::Result;
use crate::train::engine::Runner;
use crate::train::graphs::{SQUARED_ERROR, TOP_5, details};
use crate::train::metrics::Details;
use crate::train::reports::Evaluation;
use crate::train::source::Pass;

impl Session<'_> {
    /// What the last evaluation found beyond loss and score.
    ///
    /// # Errors
    /// If the device failed.
    pub fn details(&self) -> Result<Details> {
        let mut found = Details::default();
        let classes = self.settings.loss.classes(self.network.classes());
        let samples = self.test.data.set.len() as f64;
        for (name, _) in details(&self.test.data.shape.target, classes) {
            let value = self.memory.get(self.engine, name)?;
            let mean = || Some(f64::from(value.reals()[0]) / samples);
            match name {
                TOP_5 => found.top_5 = mean(),
                SQUARED_ERROR => found.mse = mean(),
                _ => {
                    let rows = value.reals().chunks(classes);
                    let counts = rows.map(|row| row.iter().map(|&count| count as u64).collect());
                    found.confusion = Some(counts.collect());
                }
            }
        }
        Ok(found)
    }

    /// Loss and score on the test set.
    ///
    /// # Errors
    /// If the device failed.
    pub fn evaluate(&mut self) -> Result<Evaluation> {
        self.evaluate_each(|_, _| Ok(()))
    }

    /// The same, handing the logits of every batch to `take` with the number of them that count.
    ///
    /// # Errors
    /// If the device or `take` failed.
    pub fn evaluate_with(
        &mut self,
        take: impl FnMut(Tensor<f32>, usize) -> Result<()>,
    ) -> Result<Evaluation> {
        let mut take = take;
        let engine = self.engine;
        self.evaluate_each(move |runner, valid| take(runner.output(engine, "logits")?, valid))
    }

    fn evaluate_each(
        &mut self,
        mut after: impl FnMut(&Runner, usize) -> Result<()>,
    ) -> Result<Evaluation> {
        let (planned, measure, part) = (
            self.planned_steps(),
            self.measure(),
            self.settings.data.evaluate,
        );
        let Session {
            engine,
            settings,
            network,
            memory,
            test: Stage { runner, data, rows },
            step,
            ..
        } = self;
        let (samples, batch) = (data.set.len(), data.shape.batch);
        zero_metrics(engine, memory, settings)?;
        for (name, ty) in details(&data.shape.target, settings.loss.classes(network.classes())) {
            memory.set(engine, name, &Tensor::zeros(&ty))?;
        }
        let stream = data.begin(engine, memory, Pass::in_order(samples), 0)?;
        for at in (0..samples).step_by(batch) {
            let valid = batch.min(samples - at);
            rows.clear();
            rows.push(&inputs(
                settings,
                planned,
                *step,
                data.cursor(at),
                valid,
                &data.shape.sample,
            ));
            if let Some(stream) = &stream {
                data.feed(engine, memory, stream)?;
            }
            runner.run(engine, memory, 1, rows.values())?;
            after(runner, valid)?;
        }
        let totals = self.read_totals(samples as u64)?;
        let count = samples as f64;
        Ok(Evaluation {
            part,
            loss: totals.mean_loss(),
            score: totals.score / count,
            measure,
            count: samples,
        })
    }
}
