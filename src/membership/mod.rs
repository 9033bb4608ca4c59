//! Membership inference: what a trained classifier reveals about who was in its training data
//! ([membership](../../docs/membership.md)).
//!
//! One file for each attack. An attack gives every sample a score, which is higher the more the model looks as if it was trained on
//! the sample. How well the scores separate members of the training data from others is what the model reveals.

mod confidence;
mod curve;
mod finding;
mod lira;
mod loss_threshold;
mod page;
mod pool;
#[cfg(test)]
mod tests;

pub use confidence::confidences;
pub use curve::MembershipCurve;
pub use finding::MembershipFinding;
pub use lira::{FEWEST_SHADOWS, LikelihoodRatios, ShadowScores};
pub use loss_threshold::by_loss;
pub use page::membership_page;
pub use pool::{FEWEST_SAMPLES, MembershipPool};

/// How members of the training data are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipAttack {
    /// By their loss (Yeom et al., "Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting", 2018).
    Loss,
    /// By the likelihood ratio of two normal distributions, which shadow runs determine (Carlini et al., "Membership Inference Attacks
    /// From First Principles", 2022).
    Lira,
}

impl MembershipAttack {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            MembershipAttack::Loss => "loss",
            MembershipAttack::Lira => "lira",
        }
    }

    /// Its name in tables and figures.
    pub fn title(self) -> &'static str {
        match self {
            MembershipAttack::Loss => "loss threshold",
            MembershipAttack::Lira => "LiRA",
        }
    }
}

/// A number for each member of the training data and for each other sample, in the order of the [`MembershipPool`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MembershipScores {
    /// Those of the members.
    pub members: Vec<f64>,
    /// Those of the others.
    pub others: Vec<f64>,
}
