//! The settings of federated averaging.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most clients.
const MOST_CLIENTS: usize = 60_000;

/// How the training samples are divided among clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientSplit {
    /// At random.
    #[default]
    Iid,
    /// Sorted by class and cut into `shards` pieces for each client, so that most clients have samples of few classes.
    ByLabel,
}

/// Federated averaging: every epoch is a round, in which some clients train the network on their own samples and the server averages what
/// they found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FederatedSettings {
    /// Clients among whom the training samples are divided, all with the same number.
    pub clients: usize,
    /// Share of the clients that take part in a round, at least one.
    pub share: f64,
    /// Passes of a client over its samples in a round.
    pub local_epochs: usize,
    /// How the samples are divided.
    pub split: ClientSplit,
    /// Pieces that each client has of samples that are sorted by class.
    pub shards: usize,
    /// Whether clients mask their updates so that the server can only read the sum (Bonawitz et al., "Practical Secure Aggregation for
    /// Privacy-Preserving Machine Learning", 2017, without clients that drop out).
    pub masked: bool,
}

impl Default for FederatedSettings {
    fn default() -> Self {
        FederatedSettings {
            clients: 100,
            share: 0.1,
            local_epochs: 1,
            split: ClientSplit::Iid,
            shards: 2,
            masked: false,
        }
    }
}

impl FederatedSettings {
    /// Clients that take part in a round, on average where they are drawn independently.
    pub fn taking_part(&self) -> usize {
        ((self.share * self.clients as f64).round() as usize).clamp(1, self.clients.max(1))
    }

    /// Checks the settings by themselves.
    ///
    /// # Errors
    /// Names the invalid one.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        if !(1..=MOST_CLIENTS).contains(&self.clients) {
            return wrong(format!(
                "federated.clients must be from 1 to {MOST_CLIENTS}, not {}",
                self.clients
            ));
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return wrong(format!(
                "federated.share must be above 0 and at most 1, the share of clients in a round, not {}",
                self.share
            ));
        }
        if !(1..=1000).contains(&self.local_epochs) {
            return wrong(format!(
                "federated.local_epochs must be from 1 to 1000, not {}",
                self.local_epochs
            ));
        }
        match self.shards {
            0 => wrong("federated.shards must be at least 1 piece for each client".to_string()),
            _ => Ok(()),
        }
    }
}
