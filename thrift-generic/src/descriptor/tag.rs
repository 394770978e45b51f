//! Aliases from Go struct tags (generic-call 1.9).

use std::borrow::Cow;

/// The name in the `json` key of Go struct tags, if there is one.
pub(crate) fn json_alias(tags: &str) -> Option<Box<str>> {
    // Some write the quotes with backslashes, and literals in single quotes keep them.
    let tags = if tags.contains(r#"\""#) { Cow::Owned(tags.replace(r#"\""#, "\"")) } else { Cow::Borrowed(tags) };
    let mut rest = &*tags;
    loop {
        let (key, behind) = rest.trim_start_matches(' ').split_once(":\"")?;
        if key.contains([' ', '"']) {
            return None;
        }
        let (value, behind) = quoted(behind)?;
        if key == "json" {
            let name = value.split(',').next().unwrap_or_default();
            return (!name.is_empty()).then(|| name.into());
        }
        rest = behind;
    }
}

/// What stands before the closing quote, with its escapes resolved, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i_21_the_alias_is_the_json_name_up_to_a_comma() {
        for tags in [
            r#"db:"b" json:"a""#,
            r#"db:"b" json:"a,omitempty""#,
            r#"json:"a,string""#,
            r#"json:\"a\""#,
            r#"  json:"a" db:"b""#,
        ] {
            assert_eq!(json_alias(tags).as_deref(), Some("a"), "{tags}");
        }
        assert_eq!(json_alias(r#"json:"-""#).as_deref(), Some("-"));
        for tags in [r#"json:",omitempty""#, r#"db:"x""#, "", "json", "json:", r#"json:"open"#, r#"xjson:"a""#] {
            assert_eq!(json_alias(tags), None, "{tags}");
        }
    }
}
