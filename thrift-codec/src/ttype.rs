use std::fmt;

/// What kind of value follows, in one byte on the wire (spec 1.7).
///
/// An unknown one survives as it is; it cannot be skipped, because nobody knows how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "every byte is a type id, known or not")]
pub struct TType(pub u8);

impl TType {
    /// Ends a struct; not the type of a value.
    pub const STOP: Self = Self(0);
    /// No value, but as a field: Kitex's generic servers end a void call with field 0 of this type, and readers take it for
    /// a struct without fields (generic-call 3.11).
    pub const VOID: Self = Self(1);
    /// One byte; Kitex takes exactly 1 for true.
    pub const BOOL: Self = Self(2);
    /// One byte, signed.
    pub const I8: Self = Self(3);
    /// Eight bytes, IEEE 754.
    pub const DOUBLE: Self = Self(4);
    /// Two bytes, signed.
    pub const I16: Self = Self(6);
    /// Four bytes, signed; enums too.
    pub const I32: Self = Self(8);
    /// Eight bytes, signed.
    pub const I64: Self = Self(10);
    /// A length of four bytes, then as many bytes of text or binary.
    pub const STRING: Self = Self(11);
    /// Fields up to a STOP.
    pub const STRUCT: Self = Self(12);
    /// Key type, value type, a count of four bytes, then as many pairs.
    pub const MAP: Self = Self(13);
    /// Element type, a count of four bytes, then as many elements.
    pub const SET: Self = Self(14);
    /// Element type, a count of four bytes, then as many elements.
    pub const LIST: Self = Self(15);

    /// How long every value of this type is, in bytes; `None` where it depends on the value, and for unknown types.
    #[must_use]
    #[inline]
    pub const fn fixed_len(self) -> Option<usize> {
        match self {
            Self::BOOL | Self::I8 => Some(1),
            Self::I16 => Some(2),
            Self::I32 => Some(4),
            Self::I64 | Self::DOUBLE => Some(8),
            _ => None,
        }
    }

    /// The fewest bytes a value of this type takes; `None` for STOP and unknown types.
    #[must_use]
    #[inline]
    pub const fn min_len(self) -> Option<usize> {
        match self {
            Self::STRING => Some(4),
            Self::STRUCT => Some(1),
            Self::MAP => Some(6),
            Self::SET | Self::LIST => Some(5),
            fixed => fixed.fixed_len(),
        }
    }

    /// Whether a value may have this type.
    #[must_use]
    #[inline]
    pub const fn is_value(self) -> bool {
        self.min_len().is_some()
    }

    /// The name of the type in an IDL; `None` for STOP and unknown types.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::BOOL => Some("bool"),
            Self::I8 => Some("i8"),
            Self::DOUBLE => Some("double"),
            Self::I16 => Some("i16"),
            Self::I32 => Some("i32"),
            Self::I64 => Some("i64"),
            Self::STRING => Some("string"),
            Self::STRUCT => Some("struct"),
            Self::MAP => Some("map"),
            Self::SET => Some("set"),
            Self::LIST => Some("list"),
            _ => None,
        }
    }
}

impl fmt::Debug for TType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "TType({}: {name})", self.0),
            None => write!(f, "TType({})", self.0),
        }
    }
}
