//! Any bytes as the reply of a command that a script has called, and what it gets as its own reply: well formed, and
//! converted again. The first byte chooses the versions of the protocol.

use std::cell::RefCell;

use understudy::RespValue;
use understudy::internals::testing::ScriptRoom;

const MEMORY_MAX: usize = 32 << 20;
/// How deep a reply may be nested to be read here.
const DEPTH_MAX: usize = 30;

thread_local! {
    static ROOM: RefCell<ScriptRoom> = RefCell::new(ScriptRoom::new(MEMORY_MAX));
}

pub fn run(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else {
        return;
    };
    let (script3, client3) = (choice & 1 != 0, choice & 2 != 0);
    ROOM.with_borrow_mut(|room| {
        let Some(reply) = room.convert(input, script3, client3) else {
            return;
        };
        let heads = reply.iter().filter(|byte| b"*%~".contains(byte)).count();
        match RespValue::read(&reply) {
            Ok(Some((_, used))) => assert_eq!(used, reply.len()),
            Ok(None) => panic!("it ends early: {}", reply.escape_ascii()),
            Err(error) => assert!(heads > DEPTH_MAX, "{error:?}: {}", reply.escape_ascii()),
        }
        assert!(room.convert(&reply, script3, client3).is_some());
    });
}
