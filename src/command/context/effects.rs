//! Effects: the deterministic commands that replay what a write did, gathered while it runs and appended
//! to the replication log before its shards are left.
//!
//! By default a command that changed something (`Context::dirty`) is its own effect, verbatim. A handler
//! overrides that with [`Effects::replace`] (SPOP says SREM), or adds to it with [`Effects::also`]. Deletions of expired
//! keys come before.
//!
//! Effects of one unit may lie in several databases (SELECT inside MULTI, MOVE, COPY): the bytes are kept
//! in parts, one per run of effects in the same database, and the log puts SELECTs between them.

use smallvec::SmallVec;

use crate::repl::wire;

/// What one execution unit (a command, or a whole EXEC) has to say to the log.
#[derive(Debug, Default)]
pub struct Effects {
    /// No log is active: everything here is a no-op.
    pub(crate) enabled: bool,
    /// What the running command does is kept from the log (`redis.set_repl`): only what it found expired is told.
    pub(crate) hidden: bool,
    /// The running command's verbatim form is not wanted.
    pub(crate) overridden: bool,
    /// The database that the next effect belongs to.
    pub(crate) db: usize,
    /// The unit's effects have nothing to do with each other (keys that SCAN found expired): they are logged
    /// one by one and not as a transaction.
    pub(crate) apart: bool,
    /// How many commands.
    pub(crate) commands: usize,
    /// RESP commands, one after another.
    bytes: Vec<u8>,
    /// Database and first byte of each part.
    parts: SmallVec<[(usize, usize); 2]>,
}

impl Effects {
    /// Adds a command.
    pub(crate) fn also<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        if !self.hidden {
            self.always(args);
        }
    }

    /// Adds a command that is not the running command's doing.
    pub(crate) fn always<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        if !self.enabled {
            return;
        }
        if self.parts.last().is_none_or(|&(db, _)| db != self.db) {
            self.parts.push((self.db, self.bytes.len()));
        }
        wire::command(&mut self.bytes, args);
        self.commands += 1;
    }

    /// Adds a command and drops the running command's verbatim form. May be called several times.
    pub(crate) fn replace<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        self.overridden = true;
        self.also(args);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.commands == 0
    }

    /// The effects so far: database and bytes of each part, in order.
    pub(crate) fn parts(&self) -> SmallVec<[(usize, &[u8]); 2]> {
        let ends = self
            .parts
            .iter()
            .skip(1)
            .map(|&(_, start)| start)
            .chain([self.bytes.len()]);
        self.parts
            .iter()
            .zip(ends)
            .map(|(&(db, start), end)| (db, &self.bytes[start..end]))
            .collect()
    }

    /// Forgets everything but `enabled`, `hidden` and `db`.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.parts.clear();
        self.commands = 0;
        self.overridden = false;
        self.apart = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_the_database() {
        let mut effects = Effects {
            enabled: true,
            ..Effects::default()
        };
        effects.also(&["DEL", "a"]);
        effects.db = 3;
        effects.also(&["DEL", "b"]);
        effects.also(&["DEL", "c"]);
        let parts = effects.parts();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], (0, &b"*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"[..]));
        assert_eq!(parts[1].0, 3);
        drop(parts);
        assert_eq!(effects.commands, 3);
        effects.clear();
        assert!(effects.parts().is_empty());
    }

    #[test]
    fn what_is_hidden_is_not_said() {
        let mut effects = Effects {
            enabled: true,
            hidden: true,
            ..Effects::default()
        };
        effects.also(&["SET", "a", "1"]);
        effects.always(&["DEL", "b"]);
        assert_eq!(
            effects.parts()[..],
            [(0, &b"*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n"[..])]
        );
    }

    #[test]
    fn disabled_effects_cost_nothing() {
        let mut effects = Effects::default();
        effects.replace(&["DEL", "a"]);
        assert!(effects.is_empty() && effects.overridden);
    }
}
