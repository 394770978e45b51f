//! What happens to a call between its route and its cluster.

pub(crate) mod deadline;
