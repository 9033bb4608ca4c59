//! A sanity check of explanations: how much maps change where the weights of a network are replaced by random ones, layer after layer
//! from the last to the first (Adebayo et al., "Sanity Checks for Saliency Maps", 2018, section 3.1).
//!
//! A map that stays similar does not depend on what the network has learned. Similarity is Spearman's rank correlation, once of the maps
//! and once of their magnitudes: a map whose signs change may still show the same places.

use super::{ExplainMethod, Explainer};
use crate::error::{Error, Result};

/// A method fails the check if a correlation with all weights replaced is above this.
pub const SANITY_LIMIT: f64 = 0.5;

/// An image with the class that is explained.
#[derive(Clone, Debug)]
pub struct SanityImage {
    /// Pixels from 0 to 1.
    pub pixels: Vec<f32>,
    /// Number of the class.
    pub class: u32,
}

/// What the check found.
#[derive(Clone, Debug)]
pub struct SanityCheck {
    /// The layers whose weights were replaced, one after another, the last one first. Each stays replaced.
    pub layers: Vec<String>,
    /// Images that it is a mean over.
    pub images: usize,
    /// Each method.
    pub methods: Vec<MethodSanity>,
}

/// What the check found of a method.
#[derive(Clone, Debug)]
pub struct MethodSanity {
    /// The method.
    pub method: ExplainMethod,
    /// After each layer, the rank correlation of its maps with those of the trained network.
    pub correlations: Vec<f64>,
    /// The same of the magnitudes of the maps.
    pub magnitudes: Vec<f64>,
}

impl MethodSanity {
    /// The larger of both correlations with all weights replaced.
    pub fn last(&self) -> f64 {
        let last = |values: &[f64]| values.last().map_or(0.0, |rho| rho.abs());
        last(&self.correlations).max(last(&self.magnitudes))
    }

    /// Whether it fails: its maps show what does not depend on the weights.
    pub fn fails(&self) -> bool {
        self.last() > SANITY_LIMIT
    }
}

impl Explainer<'_> {
    /// Checks `methods` on `images`. The weights are those of the trained network again afterwards, unless it fails.
    ///
    /// # Errors
    /// If there is no image, a method does not suit the model, or the device failed.
    pub fn sanity(
        &mut self,
        methods: &[ExplainMethod],
        images: &[SanityImage],
    ) -> Result<SanityCheck> {
        if images.is_empty() {
            return Err(Error::Data("there is no image to explain".to_string()));
        }
        let trained = self.classifier.values()?;
        let models = self.classifier.models();
        // Another seed than that from which the run began.
        let fresh = models.initial_state(self.settings.seed.wrapping_add(1));
        let of = |name: &str| match name.rsplit_once('.') {
            Some((layer, _)) => layer.to_string(),
            None => name.to_string(),
        };
        let owners: Vec<String> = models.state().map(|part| of(&part.name)).collect();
        let mut layers: Vec<String> = Vec::new();
        for parameter in models.iter().flat_map(|(_, model)| model.parameters()) {
            let layer = of(&parameter.name);
            if !layers.contains(&layer) {
                layers.push(layer);
            }
        }
        layers.reverse();
        let before = self.maps(methods, images)?;
        let mut found: Vec<MethodSanity> = methods
            .iter()
            .map(|&method| MethodSanity {
                method,
                correlations: Vec::new(),
                magnitudes: Vec::new(),
            })
            .collect();
        let mut values = trained.clone();
        for layer in &layers {
            let parts = values.iter_mut().zip(&fresh).zip(&owners);
            for ((value, fresh), _) in parts.filter(|(_, owner)| *owner == layer) {
                value.clone_from(fresh);
            }
            self.classifier.set_values(&values)?;
            let after = self.maps(methods, images)?;
            for ((own, before), after) in found.iter_mut().zip(&before).zip(&after) {
                let mean = |of: &dyn Fn(&[f32]) -> Vec<f32>| {
                    let pairs = before.iter().zip(after);
                    let each = pairs.map(|(a, b)| rank_correlation(&of(a), &of(b)));
                    each.sum::<f64>() / images.len() as f64
                };
                own.correlations.push(mean(&<[f32]>::to_vec));
                let sizes = |map: &[f32]| map.iter().map(|x| x.abs()).collect();
                own.magnitudes.push(mean(&sizes));
            }
        }
        self.classifier.set_values(&trained)?;
        Ok(SanityCheck {
            layers,
            images: images.len(),
            methods: found,
        })
    }

    /// The maps of each method, of each image.
    fn maps(
        &mut self,
        methods: &[ExplainMethod],
        images: &[SanityImage],
    ) -> Result<Vec<Vec<Vec<f32>>>> {
        let mut all = Vec::with_capacity(methods.len());
        for &method in methods {
            let mut maps = Vec::with_capacity(images.len());
            for (index, image) in images.iter().enumerate() {
                let found = self.explain(method, &image.pixels, image.class, index)?;
                maps.push(found.values);
            }
            all.push(maps);
        }
        Ok(all)
    }
}

/// Spearman's rank correlation: that of the ranks, where equal values share the mean of their ranks. 0 if all values of one are equal.
fn rank_correlation(a: &[f32], b: &[f32]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum()
    };
    let size = (product(&a, &a) * product(&b, &b)).sqrt();
    match size > 0.0 {
        true => product(&a, &b) / size,
        false => 0.0,
    }
}

/// The rank of each value, from 1.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<(usize, f32)> = values.iter().copied().enumerate().collect();
    // -0 is 0.
    order.sort_by(|(_, a), (_, b)| (a + 0.0).total_cmp(&(b + 0.0)));
    let mut ranks = vec![0.0; values.len()];
    let mut done = 0;
    for equal in order.chunk_by(|(_, a), (_, b)| a == b) {
        let rank = done as f64 + (equal.len() as f64 + 1.0) / 2.0;
        for (place, _) in equal {
            if let Some(own) = ranks.get_mut(*place) {
                *own = rank;
            }
        }
        done += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of scipy 1.17's `spearmanr`.
    #[test]
    fn correlations_of_ranks_are_those_of_scipy() {
        let near = |a: &[f32], b: &[f32], wanted: f64| {
            let found = rank_correlation(a, b);
            assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
        };
        near(&[1.0, 2.0, 3.0], &[10.0, 20.0, 400.0], 1.0);
        near(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0], -1.0);
        near(&[0.0, 0.0, 1.0, 5.0, 2.0], &[3.0, 1.0, 1.0, 4.0, 2.0], 0.5);
        near(&[1.0, 1.0], &[1.0, 2.0], 0.0);
        assert_eq!(ranks(&[-0.0, 0.0, 7.0]), [1.5, 1.5, 3.0]);
    }
}
