//! What the server learns of the updates of a round: their sum.

use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Adds up the updates of the clients of a round. All that a server sees of single clients passes through [`UpdateSum::submit`].
pub trait UpdateSum {
    /// Takes the update of `client`, as many numbers as those of the others.
    ///
    /// # Errors
    /// If a number is not finite, or too large.
    fn submit(&mut self, client: usize, update: &[f64]) -> Result<()>;

    /// The sum, once all clients have submitted.
    fn total(self: Box<Self>) -> Vec<f64>;
}

/// The sum of updates that the server sees one by one.
pub struct PlainSum(Vec<f64>);

impl PlainSum {
    /// Of updates of `length` numbers.
    pub fn new(length: usize) -> PlainSum {
        PlainSum(vec![0.0; length])
    }
}

impl UpdateSum for PlainSum {
    fn submit(&mut self, client: usize, update: &[f64]) -> Result<()> {
        check_finite(client, update)?;
        self.0.iter_mut().zip(update).for_each(|(sum, x)| *sum += x);
        Ok(())
    }

    fn total(self: Box<Self>) -> Vec<f64> {
        self.0
    }
}

/// Fixed-point numbers of an update, in units of this.
const UNIT: f64 = 1.0 / (1_u64 << 40) as f64;
/// The largest number of an update, so that sums of all clients fit into 64 bits.
const LARGEST: f64 = 64.0;

/// The sum of masked updates: every pair of clients agrees on random numbers, which one adds to its update and the other subtracts,
/// modulo 2^64, so that a single update looks random and only the sum of all is legible. In this simulation pairs agree by the seed; real
/// clients agree by an exchange of keys. Numbers are rounded to 2^-40.
pub struct MaskedSum {
    clients: Vec<usize>,
    seed: u64,
    sum: Vec<u64>,
}

impl MaskedSum {
    /// Of the updates of `clients`, of `length` numbers each, with the masks of `seed`.
    pub fn new(clients: Vec<usize>, length: usize, seed: u64) -> MaskedSum {
        MaskedSum {
            clients,
            seed,
            sum: vec![0; length],
        }
    }

    /// What `client` sends: its update with the masks of all pairs that it belongs to.
    ///
    /// # Errors
    /// If a number is not finite, or larger than 64.
    pub fn masked(&self, client: usize, update: &[f64]) -> Result<Vec<u64>> {
        check_finite(client, update)?;
        if let Some(large) = update.iter().find(|x| x.abs() > LARGEST) {
            return Err(Error::Training(format!(
                "a weight changed by {large:.3e} in one round of client {client}, more than masked updates can hold ({LARGEST}); lower the learning \
                 rate"
            )));
        }
        let fixed = |x: &f64| (x / UNIT).round() as i64 as u64;
        let mut sent: Vec<u64> = update.iter().map(fixed).collect();
        for &other in self.clients.iter().filter(|&&other| other != client) {
            let (first, second) = (client.min(other) as u64, client.max(other) as u64);
            let pair = self.seed ^ (first << 32 | second).wrapping_mul(0xD6E8_FEB8_6659_FD93);
            let mut stream = Stream::new(pair, Purpose::FederatedMask.stream(0));
            for value in &mut sent {
                let mask = u64::from(stream.next_u32()) << 32 | u64::from(stream.next_u32());
                *value = match client < other {
                    true => value.wrapping_add(mask),
                    false => value.wrapping_sub(mask),
                };
            }
        }
        Ok(sent)
    }
}

impl UpdateSum for MaskedSum {
    fn submit(&mut self, client: usize, update: &[f64]) -> Result<()> {
        let sent = self.masked(client, update)?;
        for (sum, value) in self.sum.iter_mut().zip(sent) {
            *sum = sum.wrapping_add(value);
        }
        Ok(())
    }

    fn total(self: Box<Self>) -> Vec<f64> {
        self.sum
            .iter()
            .map(|&sum| sum as i64 as f64 * UNIT)
            .collect()
    }
}

fn check_finite(client: usize, update: &[f64]) -> Result<()> {
    match update.iter().all(|x| x.is_finite()) {
        true => Ok(()),
        false => Err(Error::Diverged(format!(
            "a weight of client {client} is not finite after its round; lower the learning rate or clip the gradients (clip_norm)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_updates_have_the_sum_of_plain_ones_and_look_random() {
        let clients = vec![7, 2, 5];
        let update = |client: usize| -> Vec<f64> {
            (0..50)
                .map(|i| (i as f64 - 20.0) * 1e-3 * client as f64)
                .collect()
        };
        let mut plain = Box::new(PlainSum::new(50));
        let mut masked = Box::new(MaskedSum::new(clients.clone(), 50, 9));
        for &client in &clients {
            let sent = masked.masked(client, &update(client)).unwrap();
            let half = sent.iter().filter(|&&x| x >> 63 == 1).count();
            assert!((10..40).contains(&half), "{half} of 50 look negative");
            plain.submit(client, &update(client)).unwrap();
            masked.submit(client, &update(client)).unwrap();
        }
        for (a, b) in plain.total().iter().zip(masked.total()) {
            assert!((a - b).abs() < 1e-11, "{a} {b}");
        }
    }

    #[test]
    fn what_can_not_be_added_is_refused() {
        let mut masked = MaskedSum::new(vec![0, 1], 1, 9);
        assert!(
            masked
                .submit(0, &[65.0])
                .unwrap_err()
                .to_string()
                .contains("learning")
        );
        assert!(masked.submit(0, &[f64::NAN]).is_err());
        assert!(PlainSum::new(1).submit(0, &[f64::INFINITY]).is_err());
    }
}
