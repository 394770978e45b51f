use crate::limits::DEFAULT_MAX_DEPTH;

/// Which of Kitex's two converters the JSON and HTTP mappings follow (generic-call 0.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "Kitex has two converters")]
pub enum Profile {
    /// The lenient one, which Kitex uses by default ("G").
    #[default]
    Default,
    /// The strict one, which Kitex uses with dynamicgo ("D").
    Dynamic,
}

/// Whether enums may travel by name in JSON and Map; Kitex knows numbers only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnumNames {
    /// Numbers only.
    #[default]
    Off,
    /// Names are accepted beside numbers.
    Accept,
    /// Names are accepted, and written where the value has one.
    Write,
}

/// How values are converted (generic-call 3.12). Start from [`Options::json`], [`Options::map`] or [`Options::http`],
/// and change what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whose rules hold where the two converters differ.
    pub profile: Profile,
    /// Binary is base64 text; otherwise it is treated like a string.
    pub base64: bool,
    /// Map only: binary is read as bytes, whatever `base64` says.
    pub binary_as_bytes: bool,
    /// JSON strings are accepted for integers and doubles.
    pub strings_as_numbers: bool,
    /// Every i64 is read as a JSON string.
    pub i64_as_string: bool,
    /// A byte is read as 0 to 255.
    pub byte_as_unsigned: bool,
    /// `api.js_conv` and other value mappings count.
    pub value_mapping: bool,
    /// Fields of default requiredness that are missing on write are written (default or zero).
    pub write_default: bool,
    /// Required fields that are missing on write are written (default or zero); otherwise they are an error.
    pub write_required: bool,
    /// Optional fields that are missing on write are written, too.
    pub write_optional: bool,
    /// A field that is filled in on write gets its IDL default, not zero. (Kitex: only with dynamicgo.)
    pub idl_defaults_on_write: bool,
    /// A member that the struct does not have is an error.
    pub deny_unknown: bool,
    /// A field whose wire type is not the declared one is skipped as an unknown one; otherwise it is an error.
    pub skip_mismatched: bool,
    /// NaN and the infinities are read as `null`; otherwise they are an error.
    pub null_for_nan: bool,
    /// `<`, `>`, `&`, U+2028 and U+2029 are escaped in JSON that is read.
    pub escape_html: bool,
    /// Whether enums may travel by name.
    pub enum_names: EnumNames,
    /// Map only: maps are read with text as keys.
    pub map_keys_as_text: bool,
    /// Map only: absent fields are filled with typed empty values.
    pub fill_absent: FillAbsent,
    /// HTTP: a mapped source without a value gives way to the JSON body.
    pub read_body_fallback: bool,
    /// HTTP: a response target that can't take its value gives way to the JSON body.
    pub write_body_fallback: bool,
    /// HTTP: the response's body is made as JSON text, not only as a map of values.
    pub raw_response_body: bool,
    /// HTTP: maps and structs in response headers are JSON; otherwise they look like Kitex's, `map[a:1 b:2]`.
    pub json_headers: bool,
    /// The deepest nesting, in levels.
    pub max_depth: usize,
}

/// Which absent fields Map reads as typed empty values (generic-call 4.4, `EnableSetFieldsForEmptyStruct`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FillAbsent {
    /// None.
    #[default]
    Off,
    /// Those that are not optional.
    NotOptional,
    /// All.
    All,
}

impl Options {
    /// What Kitex's JSON generic does with this converter.
    #[must_use]
    pub fn json(profile: Profile) -> Self {
        let default = profile == Profile::Default;
        Self {
            profile,
            base64: true,
            binary_as_bytes: false,
            strings_as_numbers: true,
            i64_as_string: false,
            byte_as_unsigned: false,
            value_mapping: true,
            write_default: true,
            write_required: true,
            write_optional: false,
            idl_defaults_on_write: !default,
            deny_unknown: false,
            skip_mismatched: false,
            null_for_nan: false,
            escape_html: default,
            enum_names: EnumNames::Off,
            map_keys_as_text: true,
            fill_absent: FillAbsent::Off,
            read_body_fallback: false,
            write_body_fallback: false,
            raw_response_body: false,
            json_headers: false,
            max_depth: DEFAULT_MAX_DEPTH,
        }
    }

    /// What Kitex's Map generic does.
    #[must_use]
    pub fn map() -> Self {
        Self { base64: false, map_keys_as_text: false, ..Self::json(Profile::Default) }
    }

    /// What Kitex's HTTP generic does with this converter.
    #[must_use]
    pub fn http(profile: Profile) -> Self {
        let dynamic = profile == Profile::Dynamic;
        Self {
            base64: false,
            strings_as_numbers: false,
            read_body_fallback: dynamic,
            write_body_fallback: dynamic,
            ..Self::json(profile)
        }
    }
}
