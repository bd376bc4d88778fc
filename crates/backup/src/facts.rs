//! What the manifest says about the store beyond its files.

use crate::manifest::{Broker, Layout, Positions};

/// Whose store it is and where it stood, for the manifest; everything is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreFacts {
    /// Cluster, name, id and release.
    pub broker: Broker,
    /// Sizes and paths.
    pub layout: Layout,
    /// Optional features in use.
    pub features: Vec<String>,
    /// Commit log, queues, checkpoint and abort file.
    pub positions: Positions,
}
