//! What both ttstream drivers share: a connection's frames in and out (`link`), what waits for one stream (`queue`), the
//! messages in another protocol's data (`messages`), and how the rest of another protocol reads in frames (`forms`).

mod forms;
mod link;
mod messages;
mod queue;

pub(crate) use forms::{
    data, exception_of_fault, exception_of_reset, foreign, outcome_of, pairs_of, reset_of, rst_of, trailer_of,
    write_rst, write_trailer,
};
pub(crate) use link::{Link, Lost};
pub(crate) use messages::Messages;
pub(crate) use queue::Queue;
