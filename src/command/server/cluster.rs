//! CLUSTER, READONLY, READWRITE and ASKING: there is no cluster here, and they say so as redis-server does without
//! `cluster-enabled`. Clients ask by them which sort of server they talk to.

use crate::command::{Context, Handlers};
use crate::table::{Args, CommandError, CommandResult};

pub(crate) const HANDLERS: Handlers = &[
    ("asking", disabled),
    ("cluster|addslots", disabled),
    ("cluster|addslotsrange", disabled),
    ("cluster|bumpepoch", disabled),
    ("cluster|count-failure-reports", disabled),
    ("cluster|countkeysinslot", disabled),
    ("cluster|delslots", disabled),
    ("cluster|delslotsrange", disabled),
    ("cluster|failover", disabled),
    ("cluster|flushslots", disabled),
    ("cluster|forget", disabled),
    ("cluster|getkeysinslot", disabled),
    ("cluster|help", disabled),
    ("cluster|info", disabled),
    ("cluster|keyslot", disabled),
    ("cluster|links", disabled),
    ("cluster|meet", disabled),
    ("cluster|myid", disabled),
    ("cluster|myshardid", disabled),
    ("cluster|nodes", disabled),
    ("cluster|replicas", disabled),
    ("cluster|replicate", disabled),
    ("cluster|reset", disabled),
    ("cluster|saveconfig", disabled),
    ("cluster|set-config-epoch", disabled),
    ("cluster|setslot", disabled),
    ("cluster|shards", disabled),
    ("cluster|slaves", disabled),
    ("cluster|slots", disabled),
    ("readonly", disabled),
    ("readwrite", disabled),
];

fn disabled(_ctx: &mut Context<'_>, _args: &Args<'_>) -> CommandResult {
    Err(CommandError::fixed(
        "ERR This instance has cluster support disabled",
    ))
}
