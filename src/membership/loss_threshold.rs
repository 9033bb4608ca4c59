//! The loss threshold: samples with a small loss are taken for members of the training data (Yeom et al. 2018).

use super::confidence::loss;
use super::{MembershipAttack, MembershipFinding, MembershipScores};

/// What the losses of the run called `run` reveal, from its `confidences`, by which samples are in the same order. `seed` is that of the
/// interval.
pub fn by_loss(run: &str, confidences: MembershipScores, seed: u64) -> MembershipFinding {
    let mean = |values: &[f64]| {
        values.iter().map(|&value| loss(value)).sum::<f64>() / values.len().max(1) as f64
    };
    let losses = [mean(&confidences.members), mean(&confidences.others)];
    MembershipFinding {
        losses: Some(losses),
        ..MembershipFinding::of(MembershipAttack::Loss, run, confidences, 0, seed)
    }
}
