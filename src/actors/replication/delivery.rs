//! How a snapshot for replicas, and its way to each of them, goes: what the SnapshotActor and the
//! SlaveBufferActors report to the MasterActor.

use actix::prelude::*;

use crate::actors::replication::master::MasterActor;
use crate::actors::snapshots::snapshot::{Progress, Stage};
use crate::supervision::Owner;

/// A replica has all of a marked dump in its socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct DumpStreamed {
    pub(crate) id: u64,
}

impl Handler<DumpStreamed> for MasterActor {
    type Result = ();

    fn handle(&mut self, DumpStreamed { id }: DumpStreamed, _: &mut Self::Context) {
        self.driver.dump_streamed(id, &mut self.io);
    }
}

/// A replica has all of a dump file in its socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct DumpSent {
    pub(crate) id: u64,
}

impl Handler<DumpSent> for MasterActor {
    type Result = ();

    fn handle(&mut self, DumpSent { id }: DumpSent, _: &mut Self::Context) {
        self.driver.dump_sent(id, &mut self.io);
    }
}

impl Handler<Progress> for MasterActor {
    type Result = ();

    fn handle(&mut self, progress: Progress, _: &mut Self::Context) {
        self.node.supervision.step(Owner::Master, "progress");
        let (number, driver, io) = (progress.number, &mut self.driver, &mut self.io);
        match progress.stage {
            Stage::Cut(cut) => driver.snapshot_cut(number, cut, io),
            Stage::Ended(Ok(path)) => {
                if driver.is_making(number) {
                    io.snapshot_made(path);
                }
                driver.snapshot_ended(number, Ok(()), io);
            }
            Stage::Ended(Err(error)) => driver.snapshot_ended(number, Err(&error), io),
        }
    }
}
