//! Clients as others see them: the registry, what is pushed to them ([`client`]), how they are paused ([`pause`]), and
//! which peers are no clients at all ([`cross_protocol`]).

pub(crate) mod client;
pub(crate) mod cross_protocol;
pub(crate) mod pause;
