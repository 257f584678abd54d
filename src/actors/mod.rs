//! The actors: thin shells around the pure rooms, with the sockets, files and timers.

pub mod messages;
pub mod socket;
