//! `api.js_conv`: 64-bit integers that travel as text (generic-call 3.7, 4.3).

use crate::descriptor::Type;
use crate::value::Value;

/// Whether the texts in this list are taken as numbers: only if nothing else is in it, as in Kitex.
pub(crate) fn all_text(elements: &[Value]) -> bool {
    elements.iter().all(|element| matches!(element, Value::String(_) | Value::Null))
}

/// Whether texts of this type may be numbers.
pub(crate) fn is_integer(ty: Type) -> bool {
    matches!(ty, Type::Byte | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_))
}

/// A text as a number; what is none counts as 0, and what is too large as the nearest there is, as in Kitex.
pub(crate) fn number(text: &str) -> i64 {
    match text.parse() {
        Ok(number) => number,
        Err(error) => match std::num::ParseIntError::kind(&error) {
            std::num::IntErrorKind::PosOverflow => i64::MAX,
            std::num::IntErrorKind::NegOverflow => i64::MIN,
            _ => 0,
        },
    }
}
