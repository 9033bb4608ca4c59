//! Elastic weight consolidation: the values at which a run holds its weights, and the importance of each.

use super::super::Settings;
use super::ContinualMethod;
use super::chain::Earlier;
use crate::cpu::Tensor;
use crate::device::Engine;
use crate::error::Result;
use crate::random::{Purpose, Stream};
use crate::run::RunFolder;
use crate::tasks::Models;
use crate::train::{Anchor, AnchorTerm, summed_terms};

impl Settings {
    /// What holds the weights of `models`, if this run goes on by elastic weight consolidation: read from its own `folder`, or else
    /// measured on the data of the runs of the `chain`.
    ///
    /// # Errors
    /// If these can't be read any more, or the device failed.
    pub(in crate::settings) fn anchor(
        &self,
        folder: Option<&RunFolder>,
        chain: &[Earlier],
        models: &Models,
        engine: &Engine,
    ) -> Result<Option<Anchor>> {
        let Some(own) = &self.continual else {
            return Ok(None);
        };
        if self.continual_method() != Some(ContinualMethod::Ewc) {
            return Ok(None);
        }
        let known = folder.map(RunFolder::read_anchor).transpose()?.flatten();
        let terms = match known {
            Some(known) => known,
            None => measured(chain, own.samples, self.seed, engine)?,
        };
        let parameters = models.iter().flat_map(|(_, model)| model.parameters());
        let grown = parameters.filter_map(|parameter| {
            let term = terms.iter().find(|term| term.name == parameter.name)?;
            Some(term.clone().grown(&Tensor::zeros(&parameter.ty)))
        });
        Ok(Some(Anchor {
            strength: own.strength,
            terms: grown.collect::<Result<_>>()?,
        }))
    }
}

/// The sum of the quadratics of all runs of the `chain`. A run that holds weights itself knows that of the runs before it.
fn measured(
    chain: &[Earlier],
    samples: usize,
    seed: u64,
    engine: &Engine,
) -> Result<Vec<AnchorTerm>> {
    let mut terms = Vec::new();
    for earlier in chain {
        if let Some(before) = earlier.folder.read_anchor()? {
            terms = before;
        }
        terms = summed_terms(terms, importance(earlier, samples, seed, engine)?)?;
    }
    Ok(terms)
}

/// The weights of a run, with their importance for its own training samples.
fn importance(
    earlier: &Earlier,
    samples: usize,
    seed: u64,
    engine: &Engine,
) -> Result<Vec<AnchorTerm>> {
    let train = earlier.load()?.train;
    let mut order: Vec<usize> = (0..train.len()).collect();
    Stream::new(seed, Purpose::Importance.stream(0)).shuffle(&mut order);
    order.truncate(samples);
    order.sort_unstable();
    earlier.trained()?.importance(engine, train.chosen(&order))
}
