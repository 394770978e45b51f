/// The bytes that `text` spells; white space, and what follows a `#` up to the end of its line, is left out.
///
/// # Panics
///
/// When `text` is not hexadecimal.
#[must_use]
pub fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().bytes())
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    assert!(digits.len().is_multiple_of(2), "an odd number of hex digits: {text}");
    digits
        .chunks_exact(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("hex digits");
            u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("not two hex digits: {pair}"))
        })
        .collect()
}

/// `bytes` as lower-case hexadecimal digits, without spaces.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_remarks_are_left_out() {
        assert_eq!(from_hex("00 1f\n# nothing 99\nA0# eight tens"), [0x00, 0x1f, 0xa0]);
        assert_eq!(to_hex(&[0x00, 0x1f, 0xa0]), "001fa0");
    }
}
