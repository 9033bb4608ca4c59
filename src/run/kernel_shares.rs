//! The share of each kernel in the time of a training step.

/// The kernels of one training step with their shares of its time, the largest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelShares(Vec<(String, f64)>);

impl KernelShares {
    /// From the kernels of a step with their times, in any unit.
    pub fn of(times: &[(String, f64)]) -> KernelShares {
        let total: f64 = times.iter().map(|(_, time)| time).sum();
        let mut shares: Vec<(String, f64)> = Vec::new();
        for (kernel, time) in times {
            let share = time / total.max(f64::MIN_POSITIVE);
            match shares.iter_mut().find(|(name, _)| name == kernel) {
                Some((_, sum)) => *sum += share,
                None => shares.push((kernel.clone(), share)),
            }
        }
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        KernelShares(shares)
    }

    /// Whether no step was timed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Kernels with their shares, the largest first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(kernel, share)| (&**kernel, *share))
    }

    /// The largest shares as text that takes at most `width` characters: `conv2d/forward_tiled 41%, sum/sum 12%`.
    pub fn show(&self, width: usize) -> String {
        let mut text = String::new();
        for (kernel, share) in self.iter() {
            let separator = if text.is_empty() { "" } else { ", " };
            let next = format!("{separator}{kernel} {:.0}%", 100.0 * share);
            if text.len() + next.len() > width {
                break;
            }
            text += &next;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_of_one_kernel_are_added_and_the_largest_come_first() {
        let times = [("a", 1.0), ("b", 2.0), ("a", 4.0), ("c", 1.0)];
        let shares = KernelShares::of(&times.map(|(kernel, time)| (kernel.to_string(), time)));
        assert_eq!(shares.show(80), "a 62%, b 25%, c 12%");
        assert_eq!(shares.show(14), "a 62%, b 25%");
        assert_eq!(shares.show(4), "");
        assert!(KernelShares::of(&[]).is_empty());
    }
}
