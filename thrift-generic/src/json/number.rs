//! Numbers as JSON writes them.

/// A number in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'j> {
    pub(super) text: &'j [u8],
    /// There is neither a fraction nor an exponent.
    pub(super) integral: bool,
}

/// An integer that fits 64 bits, and what follows it. `None`: something else, or too close to the end of the text.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn integer(text: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, text),
    };
    let (mut value, len) = up_to_eight_digits(digits)?;
    let mut rest = digits.get(len..)?;
    if len == 8 {
        let (more, len) = up_to_eight_digits(rest)?;
        value = value.wrapping_mul(power_of_ten(len)?).wrapping_add(more);
        rest = rest.get(len..)?;
        if len == 8 {
            let (more, len) = up_to_eight_digits(rest)?;
            if len > 3 {
                return None;
            }
            // 19 digits fit.
            value = value.wrapping_mul(power_of_ten(len)?).wrapping_add(more);
            rest = rest.get(len..)?;
        }
    }
    let first = *digits.first()?;
    let next = *rest.first()?;
    let leading_zero = first == b'0' && rest.len().wrapping_add(1) != digits.len();
    if len == 0 || leading_zero || matches!(next, b'.' | b'e' | b'E') {
        return None;
    }
    let value = if negative { 0i64.checked_sub_unsigned(value)? } else { i64::try_from(value).ok()? };
    Some((value, rest))
}

/// The number that the digits at the front are, eight at the most, and how many they are.
#[cfg_attr(not(debug_assertions), inline(always))]
fn up_to_eight_digits(text: &[u8]) -> Option<(u64, usize)> {
    let word = u64::from_le_bytes(*text.first_chunk::<8>()?) ^ 0x3030_3030_3030_3030;
    // The highest bit of each byte that is no digit; wrong ones can only follow a right one.
    let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
    let bits = others.trailing_zeros() & !7;
    // Zeros in front, nothing behind. Shifted in two steps, for it may be by all 64 bits.
    let gap = 64u32.wrapping_sub(bits) >> 1;
    let word = word.wrapping_shl(gap).wrapping_shl(gap);
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    Some((low.wrapping_add(high) >> 32, usize::try_from(bits >> 3).ok()?))
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn power_of_ten(exponent: usize) -> Option<u64> {
    const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    POWERS.get(exponent).copied()
}

/// Any number of JSON's grammar, and what follows it.
pub(super) fn number(text: &[u8]) -> Option<(Number<'_>, &[u8])> {
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let mut rest = match rest {
        [b'0', rest @ ..] => rest,
        _ => some_digits(rest)?,
    };
    let mut integral = true;
    if let [b'.', fraction @ ..] = rest {
        integral = false;
        rest = some_digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        integral = false;
        let digits = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        rest = some_digits(digits)?;
    }
    if rest.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((Number { text: text.get(..text.len().wrapping_sub(rest.len()))?, integral }, rest))
}

fn some_digits(text: &[u8]) -> Option<&[u8]> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 { None } else { text.get(len..) }
}

/// A double, and what follows it.
#[inline]
pub(super) fn double(text: &[u8]) -> Option<(f64, &[u8])> {
    // The parser takes more than JSON has: names, a plus sign, zeros in front, a dot at either end.
    let digits = match text.split_first() {
        Some((b'-', digits)) => digits,
        _ => text,
    };
    match digits.first()? {
        b'0' if digits.get(1).is_some_and(u8::is_ascii_digit) => return None,
        b'0'..=b'9' => {}
        _ => return None,
    }
    let whole = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits.get(whole) == Some(&b'.') && !digits.get(whole.wrapping_add(1)).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let (value, len) = fast_float2::parse_partial::<f64, _>(text).ok()?;
    Some((value, text.get(len..)?))
}

impl Number<'_> {
    /// As a double; infinite where it is too large.
    pub(super) fn to_f64(self) -> f64 {
        fast_float2::parse(self.text).unwrap_or(f64::NAN)
    }

    /// As Kitex's default converter makes an integer of it: digits wrap, everything else is cut.
    pub(super) fn to_i64_wrapping(self) -> i64 {
        if self.integral { wrapping(self.text).unwrap_or_default() } else { cut(self.to_f64()) }
    }

    /// As dynamicgo does: what does not fit becomes the least integer.
    pub(super) fn to_i64_cutting(self) -> i64 {
        let exact =
            if self.integral { str::from_utf8(self.text).ok().and_then(|text| text.parse().ok()) } else { None };
        exact.unwrap_or_else(|| cut(self.to_f64()))
    }
}

/// An optional sign and nothing but digits, modulo 2^64.
pub(super) fn wrapping(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let mut value = 0i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit & 15));
    }
    Some(if digits.len() == text.len() { value } else { value.wrapping_neg() })
}

/// Towards zero; the least integer where it does not fit, which is what Go gives on amd64.
#[expect(clippy::as_conversions, reason = "there is no other conversion; the range is checked")]
fn cut(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// How Go's two JSON encoders write a double: the shortest text, with an exponent below 1e-6 and from 1e21 on.
#[derive(Debug)]
pub(super) struct Decimal {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl Decimal {
    /// The longest that [`Decimal::json`] makes, rounded up.
    pub(super) const MAX_LEN: usize = 32;

    /// `None` for NaN and the infinities. `two_digits`: an exponent of one digit gets a zero in front.
    #[inline]
    pub(super) fn json(value: f64, two_digits: bool) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value).as_bytes();
        let mut decimal = Self { bytes: [0; Self::MAX_LEN], len: 0 };
        let Some(at) = text.iter().rposition(|&byte| byte == b'e') else {
            decimal.push(text.strip_suffix(b".0").unwrap_or(text));
            return Some(decimal);
        };
        let (mantissa, exponent) = (text.get(..at)?, text.get(at.wrapping_add(1)..)?);
        let exponent = exponent.strip_prefix(b"+").unwrap_or(exponent);
        let size = value.abs();
        if (1e-6..1e21).contains(&size) {
            decimal.push(plain(mantissa, exponent).as_bytes());
            return Some(decimal);
        }
        decimal.push(mantissa.strip_suffix(b".0").unwrap_or(mantissa));
        decimal.push(match exponent {
            [b'-', _] if two_digits => b"e-0",
            [b'-', ..] => b"e-",
            _ => b"e+",
        });
        decimal.push(exponent.strip_prefix(b"-").unwrap_or(exponent));
        Some(decimal)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn push(&mut self, text: &[u8]) {
        let end = self.len.wrapping_add(text.len());
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(text);
            self.len = end;
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn parts(&self) -> (&[u8; Self::MAX_LEN], usize) {
        (&self.bytes, self.len)
    }
}

/// The shortest text without an exponent: what Go calls `'f', -1`.
pub(super) fn without_exponent(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    match text.split_once('e') {
        Some((mantissa, exponent)) => plain(mantissa.as_bytes(), exponent.as_bytes()),
        None => text.strip_suffix(".0").unwrap_or(text).to_owned(),
    }
}

/// `1.5` and `-7` to `0.00000015`.
#[cold]
fn plain(mantissa: &[u8], exponent: &[u8]) -> String {
    let text = |bytes| str::from_utf8(bytes).unwrap_or_default();
    let exponent: i32 = text(exponent).parse().unwrap_or_default();
    let mantissa = text(mantissa);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = if fraction == "0" { "" } else { fraction };
    let digits = [whole, fraction].concat();
    let shift = usize::try_from(exponent.unsigned_abs()).unwrap_or_default();
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(shift.saturating_sub(whole.len())));
    }
    let point = whole.len().saturating_add(shift);
    match digits.split_at_checked(point) {
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{digits}{}", "0".repeat(point.saturating_sub(digits.len()))),
    }
}

/// A double as Go's `strconv.ParseFloat` reads it, names and all; the text of its error otherwise. Hexadecimal ones are
/// left out.
pub(super) fn parse_float(text: &[u8]) -> Result<f64, &'static str> {
    let parsed = str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()).ok_or("invalid syntax")?;
    let named = text.iter().any(|byte| matches!(byte, b'i' | b'I'));
    if parsed.is_infinite() && !named { Err("value out of range") } else { Ok(parsed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_fast_and_right() {
        for value in
            [0i64, 1, -1, 9, 10, 12_345_678, 123_456_789, -9_876_543_210, 1_234_567_890_123_456, i64::MAX, i64::MIN]
                .into_iter()
                .chain((0..19).flat_map(|n| [10i64.pow(n), 10i64.pow(n) - 1, -(10i64.pow(n))]))
        {
            let text = format!("{value},        ");
            let (read, rest) = integer(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((read, rest), (value, ",        ".as_bytes()));
        }
        for text in [
            "01,       ",
            "-,        ",
            "-01,       ",
            "1.5,       ",
            "1e5,        ",
            "9223372036854775808,       ",
            "-9223372036854775809,        ",
            "123456789012345678901,        ",
            "00,      ",
            ",         ",
            "x           ",
            "00000000000000000001,       ",
            "--1,        ",
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
        assert_eq!(integer(b"-0,        "), Some((0, ",        ".as_bytes())));
    }

    #[test]
    fn numbers_are_json_s() {
        for (text, integral) in
            [("0", true), ("-0", true), ("10", true), ("1.5", false), ("1e5", false), ("-1.25E-7", false)]
        {
            let (number, rest) = number(text.as_bytes()).unwrap();
            assert_eq!((number.text, number.integral, rest), (text.as_bytes(), integral, &b""[..]));
            let (value, rest) = double(text.as_bytes()).unwrap();
            assert_eq!((value, rest), (text.parse().unwrap(), &b""[..]));
        }
        for text in ["01", "1.", ".5", "+1", "-", "", "1.e5", "inf", "nan", "-inf", "-.5", "--1", "00"] {
            assert!(number(text.as_bytes()).is_none(), "{text}");
            assert!(double(text.as_bytes()).is_none(), "{text}");
        }
        for text in ["1e", "1e+"] {
            assert!(number(text.as_bytes()).is_none(), "{text}");
            assert!(double(text.as_bytes()).is_none_or(|(_, rest)| !rest.is_empty()), "{text}");
        }
    }

    #[test]
    fn doubles_are_written_as_go_does() {
        for (value, json, go) in [
            (1.0, "1", "1"),
            (1.5, "1.5", "1.5"),
            (-0.0, "-0", "-0"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1.25e20, "125000000000000000000", "125000000000000000000"),
            (1e21, "1e+21", "1e+21"),
            (1e-6, "0.000001", "0.000001"),
            (1.5e-6, "0.0000015", "0.0000015"),
            (1e-7, "1e-7", "1e-07"),
            (-1.5e-10, "-1.5e-10", "-1.5e-10"),
            (f64::MAX, "1.7976931348623157e+308", "1.7976931348623157e+308"),
            (5e-324, "5e-324", "5e-324"),
            (123_456_789_012_345_680.0, "123456789012345680", "123456789012345680"),
            (0.1, "0.1", "0.1"),
        ] {
            for (two_digits, text) in [(false, json), (true, go)] {
                let decimal = Decimal::json(value, two_digits).unwrap();
                let (bytes, len) = decimal.parts();
                assert_eq!(str::from_utf8(&bytes[..len]).unwrap(), text);
            }
            assert_eq!(without_exponent(value).parse(), Ok(value));
            assert!(!without_exponent(value).contains('e'));
        }
        assert!(Decimal::json(f64::NAN, false).is_none());
        assert_eq!(without_exponent(1e300).len(), 301);
        assert_eq!(without_exponent(1.5e-7), "0.00000015");
    }
}
