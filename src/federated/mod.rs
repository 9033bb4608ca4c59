//! Federated averaging (McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", 2017), simulated: who
//! has which samples, who takes part in a round, and what the server learns of their updates, which is only the sum.

mod clients;
mod settings;
mod sum;

pub use clients::Federation;
pub use settings::{ClientSplit, FederatedSettings};
pub use sum::{MaskedSum, PlainSum, UpdateSum};
