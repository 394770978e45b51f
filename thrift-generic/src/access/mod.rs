//! Fields of Thrift bytes by path, without decoding the rest: what middleware and hooks need.
//!
//! A [`Path`] is compiled once, from names against a descriptor, or from ids without one. Reading passes over
//! everything else by its length alone; writing copies everything else as it is. Of fields and of keys of a map that
//! occur twice the last counts, as for those who decode the whole message, which is why a message is always looked
//! through to its end: what was checked here is what the receiver sees.
//!
//! ```
//! use thrift_generic::access::{Change, Path};
//! use thrift_generic::{Descriptor, Value};
//! use thrift_generic::value::MapCodec;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let d = Descriptor::from_text(
//!     "struct Item { 1: i64 price } struct Order { 1: list<Item> items, 2: map<string, string> tags }
//!      service Shop { void Buy(1: Order order) }",
//! )?;
//! let order = d.function("Buy").unwrap().request;
//! let items = Value::list([Value::structure([("price", 5_i64)]), Value::structure([("price", 7_i64)])]);
//! let mut bytes = Vec::new();
//! MapCodec::default().write(&d, order, &Value::structure([("items", items)]), &mut bytes)?;
//!
//! let price = Path::parse(&d, order, "items[1].price")?;
//! assert_eq!(price.get(&bytes)?.unwrap().as_i64(), Some(7));
//!
//! let tag = Path::parse(&d, order, r#"tags["a"]"#)?;
//! assert!(!tag.exists(&bytes)?);
//! let bytes = tag.set(&bytes, &Change::from("b"))?;
//! assert_eq!(tag.get(&bytes)?.unwrap().as_str(), Some("b"));
//! # Ok(())
//! # }
//! ```

mod cursor;
mod found;
mod get;
mod path;
mod set;
mod tree;

pub use found::Found;
pub use path::{Path, PathError};
pub use set::Change;
pub use tree::Paths;
