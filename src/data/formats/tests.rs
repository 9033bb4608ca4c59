//! What every format keeps to: the tests walk the registry.
