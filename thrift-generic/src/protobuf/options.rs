/// How deep messages may be nested at most, whatever [`PbOptions::max_depth`] says.
pub const MAX_PB_DEPTH: usize = 256;

/// Protobuf's own limit, in most languages.
const DEFAULT_PB_DEPTH: usize = 100;

/// How JSON and messages are converted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PbOptions {
    /// Enums are written by name, where their value has one. (Names are read in any case.)
    pub enum_names: bool,
    /// 64-bit integers are written as text, for readers that have doubles only.
    pub i64_as_text: bool,
    /// NaN and the infinities are written as text: `NaN`, `Infinity`, `-Infinity`; otherwise they are an error.
    pub nan_as_text: bool,
    /// A member that the message does not have is an error; otherwise it is passed over.
    pub deny_unknown: bool,
    /// How deep messages may be nested; entries of maps are messages, too. At most [`MAX_PB_DEPTH`].
    pub max_depth: usize,
}

impl Default for PbOptions {
    fn default() -> Self {
        Self {
            enum_names: false,
            i64_as_text: false,
            nan_as_text: false,
            deny_unknown: false,
            max_depth: DEFAULT_PB_DEPTH,
        }
    }
}
