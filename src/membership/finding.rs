//! What an attack found out about a run.

use super::{MembershipAttack, MembershipCurve, MembershipScores};
use serde_json::{Map, Value};

/// How well an attack recognises the members of the training data of a run.
#[derive(Clone, Debug)]
pub struct MembershipFinding {
    /// The attack.
    pub attack: MembershipAttack,
    /// The name of the run.
    pub run: String,
    /// The area under the ROC curve: 0.5 if nothing is revealed, 1 if every member is.
    pub auc: f64,
    /// The interval of the area, by a bootstrap.
    pub interval: [f64; 2],
    /// The share judged correctly by the best threshold, members and others weighing the same.
    pub accuracy: f64,
    /// The share of members found where 1% of the others are taken for members.
    pub tpr_at_1_percent: f64,
    /// The share of members found where 0.1% of the others are taken for members.
    pub tpr_at_0_1_percent: f64,
    /// Mean cross-entropy of the members and of the others, if the attack is by the loss.
    pub losses: Option<[f64; 2]>,
    /// Number of shadow runs.
    pub shadows: usize,
    /// The scores.
    pub scores: MembershipScores,
    /// The ROC curve.
    pub curve: MembershipCurve,
}

impl MembershipFinding {
    /// What the `scores` of an attack with so many shadow runs reveal. `seed` is that of the interval.
    pub(super) fn of(
        attack: MembershipAttack,
        run: &str,
        scores: MembershipScores,
        shadows: usize,
        seed: u64,
    ) -> MembershipFinding {
        let curve = MembershipCurve::of(&scores);
        let auc = curve.area();
        MembershipFinding {
            attack,
            run: run.to_string(),
            auc,
            interval: curve.interval(seed).unwrap_or([auc; 2]),
            accuracy: curve.accuracy(),
            tpr_at_1_percent: curve.true_positive_rate(0.01),
            tpr_at_0_1_percent: curve.true_positive_rate(0.001),
            losses: None,
            shadows,
            scores,
            curve,
        }
    }

    /// The line `"event":"membership"`.
    pub fn to_json(&self) -> Value {
        let [low, high] = self.interval;
        let mut line = Map::from_iter([
            ("event".to_string(), "membership".into()),
            ("attack".to_string(), self.attack.name().into()),
            ("run".to_string(), self.run.clone().into()),
            ("auc".to_string(), self.auc.into()),
            ("auc_low".to_string(), low.into()),
            ("auc_high".to_string(), high.into()),
            ("accuracy".to_string(), self.accuracy.into()),
            ("tpr_at_1_percent".to_string(), self.tpr_at_1_percent.into()),
            (
                "tpr_at_0_1_percent".to_string(),
                self.tpr_at_0_1_percent.into(),
            ),
            ("members".to_string(), self.scores.members.len().into()),
            ("others".to_string(), self.scores.others.len().into()),
            ("shadows".to_string(), self.shadows.into()),
        ]);
        if let Some([members, others]) = self.losses {
            line.insert("loss_members".to_string(), members.into());
            line.insert("loss_others".to_string(), others.into());
        }
        Value::Object(line)
    }
}
