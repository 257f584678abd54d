//! Walks for digests and verifications, on their way to the actors that make them.

use crate::digest::Secret;
use crate::repl::ReplId;
use crate::repl::delta::{self, PatchOrder};
use crate::repl::hub::StreamCut;
use crate::repl::verify::{WalkOrder, Walked};

type Tell<T> = dyn FnOnce(Result<T, String>) + Send;

/// What is told an outcome, once. If nobody does, it is told of the failure when this is dropped.
pub(crate) struct Told<T>(Option<Box<Tell<T>>>);

impl<T> Told<T> {
    pub(crate) fn new(told: impl FnOnce(Result<T, String>) + Send + 'static) -> Told<T> {
        Told(Some(Box::new(told)))
    }

    pub(crate) fn tell(mut self, outcome: Result<T, String>) {
        if let Some(told) = self.0.take() {
            told(outcome);
        }
    }
}

impl<T> Drop for Told<T> {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            told(Err("it was given up".into()));
        }
    }
}

/// Told where the stream is at a cut: the history, and the offset.
pub(crate) type CutAt = Told<(ReplId, u64)>;

/// A walk that is to be made.
pub(crate) struct DigestWalk {
    pub(crate) order: WalkOrder,
    pub(crate) cut: CutAt,
    pub(crate) done: Told<Walked>,
}

/// A walk of the master in a delta resync.
pub(crate) struct DeltaWalk {
    pub(crate) wanted: DeltaWanted,
    /// Told the cut, which holds the log.
    pub(crate) cut: Told<StreamCut>,
    pub(crate) done: Told<delta::Walked>,
}

/// The digests of 2^`bits` ranges.
pub struct RangesOrder {
    pub(crate) secret: Secret,
    pub(crate) bits: u32,
}

/// What it is to bring.
pub enum DeltaWanted {
    Ranges(RangesOrder),
    Patch(PatchOrder),
}

/// Whom to verify with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyWith {
    /// Our master.
    Master,
    /// Each of our replicas.
    Replicas,
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn whoever_waits_is_told_even_if_nobody_tells() {
        let (sender, receiver) = channel();
        let again = sender.clone();
        Told::new(move |outcome| sender.send(outcome).unwrap()).tell(Ok(7));
        assert_eq!(receiver.recv(), Ok(Ok(7)));
        drop(Told::<i32>::new(move |outcome| {
            again.send(outcome).unwrap()
        }));
        assert!(receiver.recv().unwrap().is_err());
        assert!(receiver.recv().is_err(), "once");
    }
}
