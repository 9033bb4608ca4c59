//! The samples of every client, and the clients and batches of every round.

use super::{ClientSplit, FederatedSettings};
use crate::error::{Error, Result};
use crate::privacy::PrivateSteps;
use crate::random::{Purpose, Stream};

/// Clients with their samples.
#[derive(Clone, Debug)]
pub struct Federation {
    settings: FederatedSettings,
    /// Indices of the samples of every client.
    clients: Vec<Vec<u32>>,
    /// Samples of a batch.
    batch: usize,
    seed: u64,
    privacy: Option<PrivateSteps>,
}

/// The number that a round's own seed differs by.
const ROUND: u64 = 0x9E37_79B9_7F4A_7C15;

impl Federation {
    /// Divides `samples` samples, of the classes `labels` if they have one, among the clients of `settings`. Samples that are left over
    /// when all have the same number are not used.
    ///
    /// # Errors
    /// If a setting is invalid, there are too few samples, or samples without a class are to be divided by it.
    pub fn new(
        settings: &FederatedSettings,
        samples: usize,
        labels: Option<&[u32]>,
        batch: usize,
        seed: u64,
    ) -> Result<Federation> {
        settings.check()?;
        let shards = match settings.split {
            ClientSplit::Iid => 1,
            ClientSplit::ByLabel => settings.shards,
        };
        let mut order: Vec<u32> = (0..samples as u32).collect();
        let mut stream = Stream::new(seed, Purpose::FederatedSplit.stream(0));
        stream.shuffle(&mut order);
        if settings.split == ClientSplit::ByLabel {
            let Some(labels) = labels else {
                return Err(Error::Config(
                    "federated.split = \"by_label\" divides samples by their class, and these have none; use \"iid\"".to_string(),
                ));
            };
            order.sort_by_key(|&sample| labels.get(sample as usize).copied());
        }
        let pieces = settings.clients.saturating_mul(shards);
        let each = samples / pieces;
        if each == 0 {
            return Err(Error::Config(format!(
                "{samples} training samples can't be divided into {pieces} pieces for {} clients; make federated.clients or federated.shards \
                 smaller",
                settings.clients
            )));
        }
        let mut pieces: Vec<&[u32]> = order.chunks_exact(each).take(pieces).collect();
        stream.shuffle(&mut pieces);
        let clients = pieces.chunks(shards).map(|own| own.concat()).collect();
        Ok(Federation {
            settings: settings.clone(),
            clients,
            batch,
            seed,
            privacy: None,
        })
    }

    /// The same with private rounds: the update of a client is clipped, and the sum of all gets noise (McMahan et al., "Learning
    /// Differentially Private Recurrent Language Models", 2018). The clients of a round are then drawn independently.
    #[must_use]
    pub fn with_privacy(self, privacy: PrivateSteps) -> Federation {
        Federation {
            privacy: Some(privacy),
            ..self
        }
    }

    /// The settings.
    pub fn settings(&self) -> &FederatedSettings {
        &self.settings
    }

    /// What makes rounds private, if anything does.
    pub fn privacy(&self) -> Option<&PrivateSteps> {
        self.privacy.as_ref()
    }

    /// Samples of a client.
    pub fn samples_of_client(&self) -> usize {
        self.clients.first().map_or(0, Vec::len)
    }

    /// Steps that a client takes in a round.
    pub fn steps_of_client(&self) -> usize {
        self.samples_of_client().div_ceil(self.batch) * self.settings.local_epochs
    }

    /// The most clients that can take part in a round.
    fn most_clients(&self) -> usize {
        match self.privacy {
            Some(_) => self.clients.len(),
            None => self.settings.taking_part(),
        }
    }

    /// The most steps of a round.
    pub fn steps_of_round(&self) -> usize {
        self.most_clients() * self.steps_of_client()
    }

    /// The most samples that a round visits.
    pub fn visits(&self) -> usize {
        self.most_clients() * self.samples_of_client() * self.settings.local_epochs
    }

    /// The seed of a round.
    pub fn seed_of(&self, round: u32) -> u64 {
        self.seed ^ (u64::from(round) + 1).wrapping_mul(ROUND)
    }

    /// The clients of a round, in the order in which the simulation trains them.
    pub fn of_round(&self, round: u32) -> Vec<usize> {
        let mut stream = Stream::new(self.seed_of(round), Purpose::FederatedRound.stream(0));
        if self.privacy.is_some() {
            let taken = |_: &usize| f64::from(stream.unit()) < self.rate();
            return (0..self.clients.len()).filter(taken).collect();
        }
        let mut clients: Vec<usize> = (0..self.clients.len()).collect();
        stream.shuffle(&mut clients);
        clients.truncate(self.settings.taking_part());
        clients
    }

    /// Probability with which a client takes part in a private round.
    fn rate(&self) -> f64 {
        self.settings.taking_part() as f64 / self.clients.len().max(1) as f64
    }

    /// The samples that `client` visits in a round, and the sizes of its steps.
    pub fn pass(&self, round: u32, client: usize) -> (Vec<u32>, Vec<usize>) {
        let own = self.clients.get(client).map_or(&[][..], Vec::as_slice);
        let (mut order, mut sizes) = (Vec::new(), Vec::new());
        for epoch in 0..self.settings.local_epochs {
            let index = client * self.settings.local_epochs + epoch;
            let purpose = Purpose::FederatedOrder.stream(index as u32);
            let mut visited = own.to_vec();
            Stream::new(self.seed_of(round), purpose).shuffle(&mut visited);
            sizes.extend(visited.chunks(self.batch).map(<[u32]>::len));
            order.extend(visited);
        }
        (order, sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(split: ClientSplit) -> FederatedSettings {
        FederatedSettings {
            clients: 5,
            share: 0.4,
            local_epochs: 2,
            split,
            ..FederatedSettings::default()
        }
    }

    #[test]
    fn every_sample_has_one_client_and_clients_have_as_many_each() {
        let labels: Vec<u32> = (0..62).map(|i| i % 10).collect();
        for split in [ClientSplit::Iid, ClientSplit::ByLabel] {
            let found = Federation::new(&settings(split), 62, Some(&labels), 4, 3).unwrap();
            assert_eq!(found.samples_of_client(), 12);
            let mut all = found.clients.concat();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 60);
            let classes = |client: &Vec<u32>| {
                let mut own: Vec<u32> = client.iter().map(|&i| labels[i as usize]).collect();
                own.sort_unstable();
                own.dedup();
                own.len()
            };
            let most = found.clients.iter().map(classes).max().unwrap();
            // Two pieces of 6 samples have at most two classes each.
            assert_eq!(most <= 4, split == ClientSplit::ByLabel, "{most}");
        }
        let none = Federation::new(&settings(ClientSplit::ByLabel), 62, None, 4, 3);
        assert!(none.unwrap_err().to_string().contains("iid"));
        let few = Federation::new(&settings(ClientSplit::Iid), 4, None, 4, 3);
        assert!(few.unwrap_err().to_string().contains("5 clients"));
    }

    #[test]
    fn a_round_has_its_own_clients_and_orders() {
        let found = Federation::new(&settings(ClientSplit::Iid), 60, None, 5, 3).unwrap();
        assert_eq!((found.steps_of_client(), found.steps_of_round()), (6, 12));
        let rounds: Vec<Vec<usize>> = (0..8).map(|round| found.of_round(round)).collect();
        assert!(
            rounds
                .iter()
                .all(|clients| clients.len() == 2 && clients[0] != clients[1])
        );
        assert!(rounds.windows(2).any(|pair| pair[0] != pair[1]));
        let (order, sizes) = found.pass(0, 3);
        assert_eq!((order.len(), sizes), (24, vec![5, 5, 2, 5, 5, 2]));
        let mut halves = [order[..12].to_vec(), order[12..].to_vec()];
        assert_ne!(halves[0], halves[1]);
        halves.iter_mut().for_each(|half| half.sort_unstable());
        assert_eq!(halves[0], halves[1]);
        assert_ne!(found.pass(1, 3).0, order);
    }
}
