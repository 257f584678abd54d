//! A reply as a script sees it, and as a script gives it back, without a node around it: what fuzzing drives.

use crate::lua::Stack;
use crate::observe::stats::Stats;
use crate::resp::{Reply, Resp};

use super::replies::{Answer, push_reply};

/// Converts a reply's bytes to a Lua value, and that to the reply of a script that speaks `script` with its commands to
/// a client that speaks `client`. None: the bytes are no reply.
pub(crate) fn there_and_back(
    stack: &mut Stack,
    bytes: &[u8],
    script: Resp,
    client: Resp,
) -> Option<Vec<u8>> {
    stack.set_top(0);
    if push_reply(stack, bytes).is_err() {
        stack.set_top(0);
        return None;
    }
    let mut reply = Reply::new(client);
    let mut answer = Answer {
        reply: &mut reply,
        stats: &Stats::default(),
        script_resp: script,
        depth: 0,
    };
    answer.value(stack);
    Some(reply.take().into_bytes().to_vec())
}
