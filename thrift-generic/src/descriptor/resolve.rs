//! From a parsed IDL to a descriptor.

/// Which services of the main file a descriptor takes (generic-call 1.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "Kitex has these three")]
pub enum ParseMode {
    /// The last one.
    #[default]
    Last,
    /// The first one.
    First,
    /// All, as one named `CombinedServices`.
    Combine,
}

/// Builds descriptors.
#[derive(Clone, Debug, Default)]
pub struct Builder {}

/// Why no descriptor can be built.
#[derive(Debug, thiserror::Error)]
#[error("")]
pub struct BuildError {}
