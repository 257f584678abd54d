//! Effects: the deterministic commands that replay what a write did, gathered while it runs and appended
//! to the replication log before its shards are left.
//!
//! By default a command that changed something (`Context::dirty`) is its own effect, verbatim. A handler
//! overrides that with [`Effects::replace`] (SPOP says SREM), adds to it with [`Effects::also`], or says
//! that nothing is to be sent with [`Effects::suppress`]. Deletions of expired keys come before.

/// What one execution unit (a command, or a whole EXEC) has to say to the log.
#[derive(Debug, Default)]
pub struct Effects {
    /// No log is active: everything here is a no-op.
    pub enabled: bool,
    /// RESP commands, one after another.
    pub bytes: Vec<u8>,
    pub commands: usize,
    /// The running command's verbatim form is not wanted.
    pub overridden: bool,
}

impl Effects {
    /// Adds a command.
    pub fn also<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        if !self.enabled {
            return;
        }
        encode(&mut self.bytes, args);
        self.commands += 1;
    }

    /// Adds a command and drops the running command's verbatim form. May be called several times.
    pub fn replace<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        self.overridden = true;
        self.also(args);
    }

    /// Drops the running command's verbatim form.
    pub fn suppress(&mut self) {
        self.overridden = true;
    }

    pub fn is_empty(&self) -> bool {
        self.commands == 0
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.commands = 0;
        self.overridden = false;
    }
}

/// Appends a command in RESP form.
pub fn encode<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    let mut digits = itoa::Buffer::new();
    out.push(b'*');
    out.extend_from_slice(digits.format(args.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    for arg in args {
        let arg = arg.as_ref();
        out.push(b'$');
        out.extend_from_slice(digits.format(arg.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}
