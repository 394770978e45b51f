//! Values that carry their unit: `"250ms"`, `"16MiB"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A time with its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Duration);

/// A size with its unit, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) u64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, "a time with its unit (us, ms, s, m, h), like \"250ms\"", Self::parse)
    }
}

impl Time {
    /// Reads a number with its unit.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let micros = match unit {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            _ => return None,
        };
        number.checked_mul(micros).map(|micros| Self(Duration::from_micros(micros)))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, "a size with its unit (B, KiB, MiB, GiB), like \"16MiB\"", |text| {
            let (number, unit) = split(text)?;
            let bytes = match unit {
                "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                _ => return None,
            };
            number.checked_mul(bytes).map(Self)
        })
    }
}

fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    let value = toml::Value::deserialize(deserializer)?;
    value.as_str().and_then(parse).ok_or_else(|| de::Error::custom(format_args!("found {value}, expected {expected}")))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}
