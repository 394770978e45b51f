//! Messages and enums, resolved once: what a conversion looks up is an index away, and no descriptor is cloned.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};

use crate::protobuf::json::push_text;
use crate::protobuf::wire::WireType;

/// A message type within its [`PbIdl`](super::PbIdl) and the descriptors made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PbMessage(u32);

#[derive(Debug, Default)]
pub(super) struct Schema {
    messages: Vec<Message>,
    messages_by_name: HashMap<Box<str>, PbMessage>,
    enums: Vec<Enum>,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) full_name: Box<str>,
    /// Without the package.
    pub(super) name: Box<str>,
    /// By number.
    pub(super) fields: Vec<Field>,
    /// Under the names in the `.proto` and in JSON; of one name for two fields the latter counts.
    by_name: HashMap<Box<str>, usize>,
    /// How many `oneof`s there are, not counting those that stand for `optional`.
    pub(super) oneofs: usize,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) json_name: Box<str>,
    /// `"name":`, escaped.
    pub(super) json_key: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    pub(super) packed: bool,
    pub(super) group: bool,
    pub(super) oneof: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Singular,
    List,
    /// The kind is the message of its entries.
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Message(PbMessage),
    Enum(EnumId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EnumId(u32);

#[derive(Debug, Default)]
pub(super) struct Enum {
    numbers: HashMap<Box<str>, i32>,
    names: HashMap<i32, Box<str>>,
    pub(super) default: i32,
}

impl Schema {
    pub(super) fn new(pool: &DescriptorPool) -> Self {
        let ids = (0..).map(PbMessage);
        let messages_by_name: HashMap<Box<str>, _> =
            pool.all_messages().map(|message| message.full_name().into()).zip(ids).collect();
        let enum_ids: HashMap<Box<str>, _> =
            pool.all_enums().map(|of| of.full_name().into()).zip((0..).map(EnumId)).collect();
        let kind = |kind: prost_reflect::Kind| match kind {
            prost_reflect::Kind::Double => Some(Kind::Double),
            prost_reflect::Kind::Float => Some(Kind::Float),
            prost_reflect::Kind::Int32 => Some(Kind::Int32),
            prost_reflect::Kind::Int64 => Some(Kind::Int64),
            prost_reflect::Kind::Uint32 => Some(Kind::Uint32),
            prost_reflect::Kind::Uint64 => Some(Kind::Uint64),
            prost_reflect::Kind::Sint32 => Some(Kind::Sint32),
            prost_reflect::Kind::Sint64 => Some(Kind::Sint64),
            prost_reflect::Kind::Fixed32 => Some(Kind::Fixed32),
            prost_reflect::Kind::Fixed64 => Some(Kind::Fixed64),
            prost_reflect::Kind::Sfixed32 => Some(Kind::Sfixed32),
            prost_reflect::Kind::Sfixed64 => Some(Kind::Sfixed64),
            prost_reflect::Kind::Bool => Some(Kind::Bool),
            prost_reflect::Kind::String => Some(Kind::String),
            prost_reflect::Kind::Bytes => Some(Kind::Bytes),
            prost_reflect::Kind::Message(of) => messages_by_name.get(of.full_name()).copied().map(Kind::Message),
            prost_reflect::Kind::Enum(of) => enum_ids.get(of.full_name()).copied().map(Kind::Enum),
        };
        let messages = pool.all_messages().map(|message| Message::new(&message, kind)).collect();
        let enums = pool.all_enums().map(|of| Enum::new(&of)).collect();
        Self { messages, messages_by_name, enums }
    }

    pub(super) fn find(&self, full_name: &str) -> Option<PbMessage> {
        self.messages_by_name.get(full_name).copied()
    }

    #[expect(clippy::indexing_slicing, reason = "ids are made by a schema alone; a stranger's is the caller's bug")]
    pub(super) fn message(&self, id: PbMessage) -> &Message {
        &self.messages[index(id.0)]
    }

    #[expect(clippy::indexing_slicing, reason = "ids are made by a schema alone")]
    pub(super) fn enumeration(&self, id: EnumId) -> &Enum {
        &self.enums[index(id.0)]
    }
}

impl Message {
    fn new(message: &MessageDescriptor, kind: impl Fn(prost_reflect::Kind) -> Option<Kind>) -> Self {
        let oneofs: Vec<_> = message.oneofs().filter(|oneof| !oneof.is_synthetic()).collect();
        // In the order of their numbers.
        let mut fields: Vec<_> = message
            .fields()
            .filter_map(|field| {
                let oneof = field.containing_oneof().and_then(|of| oneofs.iter().position(|known| *known == of));
                Some((Field::new(&field, kind(field.kind())?, oneof), field))
            })
            .collect();
        fields.sort_by_key(|(field, _)| field.number);
        let mut by_name = HashMap::new();
        for (at, (_, field)) in fields.iter().enumerate() {
            by_name.insert(field.name().into(), at);
        }
        for (at, (_, field)) in fields.iter().enumerate() {
            by_name.insert(field.json_name().into(), at);
        }
        Self {
            full_name: message.full_name().into(),
            name: message.name().into(),
            fields: fields.into_iter().map(|(field, _)| field).collect(),
            by_name,
            oneofs: oneofs.len(),
        }
    }

    /// By its name in the `.proto` or in JSON.
    pub(super) fn field_named(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).and_then(|&at| self.fields.get(at))
    }

    /// The place of the field with this number; `hint` is where it is likely to be.
    pub(super) fn position(&self, number: u32, hint: usize) -> Option<usize> {
        match self.fields.get(hint) {
            Some(field) if field.number == number => Some(hint),
            _ => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }

    /// By its number.
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        self.position(number, 0).and_then(|at| self.fields.get(at))
    }
}

impl Field {
    fn new(field: &FieldDescriptor, kind: Kind, oneof: Option<usize>) -> Self {
        let mut json_key = Vec::new();
        push_text(&mut json_key, field.json_name());
        json_key.push(b':');
        let shape = match (field.is_map(), field.is_list()) {
            (true, _) => Shape::Map,
            (_, true) => Shape::List,
            _ => Shape::Singular,
        };
        Self {
            number: field.number(),
            json_name: field.json_name().into(),
            json_key,
            kind,
            shape,
            packed: shape == Shape::List && field.is_packed() && kind.is_packable(),
            group: field.is_group(),
            oneof,
        }
    }

    /// How one value of it lies on the wire.
    pub(super) fn wire_type(&self) -> WireType {
        if self.group { WireType::StartGroup } else { self.kind.wire_type() }
    }
}

impl Kind {
    fn wire_type(self) -> WireType {
        match self {
            Self::Int32
            | Self::Int64
            | Self::Uint32
            | Self::Uint64
            | Self::Sint32
            | Self::Sint64
            | Self::Bool
            | Self::Enum(_) => WireType::Varint,
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::Fixed32,
            Self::String | Self::Bytes | Self::Message(_) => WireType::Len,
        }
    }

    pub(super) fn is_packable(self) -> bool {
        self.wire_type() != WireType::Len
    }

    /// Its name in a `.proto`, or the word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::Float => "float",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Fixed32 => "fixed32",
            Self::Fixed64 => "fixed64",
            Self::Sfixed32 => "sfixed32",
            Self::Sfixed64 => "sfixed64",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Message(_) => "message",
            Self::Enum(_) => "enum",
        }
    }
}

impl Enum {
    fn new(of: &prost_reflect::EnumDescriptor) -> Self {
        let mut table = Self { default: of.default_value().number(), ..Self::default() };
        for value in of.values() {
            table.numbers.insert(value.name().into(), value.number());
            // Of aliases the first is written.
            table.names.entry(value.number()).or_insert_with(|| value.name().into());
        }
        table
    }

    pub(super) fn number(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).copied()
    }

    pub(super) fn name(&self, number: i32) -> Option<&str> {
        self.names.get(&number).map(AsRef::as_ref)
    }
}

fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}
