//! Sums of later rewards, and how much better an action was than expected.

/// The discounted sums of the rewards from each step of an episode to its end.
pub(super) fn discounted(rewards: &[f64], gamma: f64) -> Vec<f64> {
    let mut sums = vec![0.0; rewards.len()];
    let mut later = 0.0;
    for (sum, reward) in sums.iter_mut().zip(rewards).rev() {
        later = reward + gamma * later;
        *sum = later;
    }
    sums
}

/// Rewards of several environments over some steps, `[steps, environments]` each.
pub(super) struct Rewards<'a> {
    /// The rewards; those at a time limit include the discounted value of what would have come.
    pub rewards: &'a [f64],
    /// What the critic expected before each step, and before the one after the last: `[steps + 1, environments]`.
    pub values: &'a [f32],
    /// Whether an episode ended with the step.
    pub ended: &'a [bool],
    pub environments: usize,
}

impl Rewards<'_> {
    /// Generalised advantage estimation (Schulman et al. 2016): the advantages, `[steps, environments]`. The returns are these plus
    /// the values.
    pub fn advantages(&self, gamma: f64, lambda: f64) -> Vec<f64> {
        let mut advantages = vec![0.0; self.rewards.len()];
        let mut later = vec![0.0; self.environments];
        for at in (0..self.rewards.len()).rev() {
            let later = &mut later[at % self.environments];
            let goes_on = f64::from(u8::from(!self.ended[at]));
            let [value, next] = [at, at + self.environments].map(|at| f64::from(self.values[at]));
            let error = self.rewards[at] + gamma * goes_on * next - value;
            *later = error + gamma * lambda * goes_on * *later;
            advantages[at] = *later;
        }
        advantages
    }
}

/// `numbers` minus their mean, divided by their standard deviation; only without their mean, if they are equal or one.
pub(super) fn normalised(numbers: &[f64]) -> Vec<f64> {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let square = |x: &f64| (x - mean) * (x - mean);
    let deviation = match numbers.len() {
        0 | 1 => 0.0,
        _ => (numbers.iter().map(square).sum::<f64>() / (count - 1.0)).sqrt(),
    };
    numbers
        .iter()
        .map(|x| (x - mean) / (deviation + 1e-8))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_rewards_are_discounted() {
        assert_eq!(discounted(&[1.0, 0.0, 4.0], 0.5), [2.0, 2.0, 4.0]);
    }

    /// With a lambda of 1, the advantage is the discounted return minus the value; with one of 0, the error of a step.
    #[test]
    fn advantages_go_from_one_step_to_the_whole_return() {
        let rewards = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
        let values = [0.5, 5.0, 1.5, 6.0, 2.5, 7.0, 4.0, 8.0];
        let mut ended = [false; 6];
        // The first environment's episode ends with the second step.
        ended[2] = true;
        let given = Rewards {
            rewards: &rewards,
            values: &values,
            ended: &ended,
            environments: 2,
        };
        let gamma = 0.9;
        let whole = given.advantages(gamma, 1.0);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} and {b}");
        close(whole[0], 1.0 + gamma * 2.0 - 0.5);
        close(whole[2], 2.0 - 1.5);
        close(whole[4], 3.0 + gamma * 4.0 - 2.5);
        close(
            whole[1],
            10.0 + gamma * (20.0 + gamma * (30.0 + gamma * 8.0)) - 5.0,
        );
        let single = given.advantages(gamma, 0.0);
        close(single[0], 1.0 + gamma * 1.5 - 0.5);
        close(single[1], 10.0 + gamma * 6.0 - 5.0);
        let between = given.advantages(gamma, 0.5);
        close(
            between[3],
            (20.0 + gamma * 7.0 - 6.0) + 0.5 * gamma * (30.0 + gamma * 8.0 - 7.0),
        );
    }

    #[test]
    fn normalised_numbers_have_mean_0_and_deviation_1() {
        let found = normalised(&[1.0, 2.0, 3.0]);
        assert!((found[0] + 1.0).abs() < 1e-6 && found[1].abs() < 1e-12);
        assert_eq!(normalised(&[2.0]), [0.0]);
        assert!(normalised(&[]).is_empty());
    }
}
