//! The stream a node speaks: the log, which histories its offsets belong to, and which database it is in.
//!
//! One lock of the [`Hub`](super::Hub) guards it, so that a decision about a replica (may it continue?) and
//! the place where it attaches to the log are one step.
//!
//! As a master the node writes the stream itself and says SELECT when the database changes. As a replica it repeats
//! its master's bytes unchanged and keeps `database` as what those bytes last selected, so that a later promotion, a
//! dump, or a resumption continues from there.

use super::log::Log;
use super::replid::{History, ReplId};
use super::wire;

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) log: Log,
    pub(crate) history: History,
    /// There is a backlog: bytes are kept and counted. Without it the node's writes are no stream at all.
    pub(crate) active: bool,
    /// Database that the stream's last SELECT chose; None forces a SELECT before the next command.
    pub(crate) database: Option<usize>,
    /// The data is not what history and offset say: a failed command of the master's stream was passed over (or a
    /// transaction applied in part) here, after so many bytes. Until a full sync, or a history of our own.
    pub(crate) diverged: Option<u64>,
    /// We follow another since, and were a master before: of this history, up to this offset. What we hold of it the
    /// master may lack, until it continues our stream or its data replaces ours.
    pub(crate) own: Option<(ReplId, u64)>,
    /// A failover waits for a replica to have every byte: what is not data (PING, GETACK) must not be added.
    pub(crate) quiet: bool,
    scratch: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(id: ReplId, limit: u64) -> Stream {
        Stream {
            log: Log::new(0, limit),
            history: History::new(id),
            active: false,
            database: None,
            diverged: None,
            own: None,
            quiet: false,
            scratch: Vec::new(),
        }
    }

    /// Begins a stream of our own that shares nothing with what was before, from the present offset on.
    pub(crate) fn open_backlog(&mut self, id: ReplId) {
        self.history.restart(id);
        self.diverged = None;
        self.log.reset(self.log.end());
        self.database = None;
        self.active = true;
    }

    /// Frees the backlog. Writes that follow are not counted, so the old id must not be honoured again: the
    /// caller passes a fresh one.
    pub(crate) fn close_backlog(&mut self, id: ReplId) {
        self.history.restart(id);
        self.diverged = None;
        self.log.reset(self.log.end());
        self.active = false;
    }

    /// What follows belongs to a new history that continues the present one. No reader of the log as the present one
    /// may be sent it: they must ask again.
    pub(crate) fn shift(&mut self, id: ReplId) {
        self.history.shift(id, self.log.end());
        self.log.drop_cursors();
    }

    /// As [`Stream::shift`], but of data that has diverged: nobody who has the present history has this data.
    pub(crate) fn part(&mut self, id: ReplId) {
        self.history.restart(id);
        self.diverged = None;
        self.log.reset(self.log.end());
    }

    /// Takes up a history at an offset, with an empty backlog: after a full sync, or from a dump.
    pub(crate) fn adopt(&mut self, history: History, offset: u64, database: Option<usize>) {
        self.diverged = None;
        self.own = None;
        self.history = history;
        self.log.reset(offset);
        self.database = database;
        self.active = true;
    }

    /// Appends commands of one database, preceded by SELECT if needed.
    fn push(&mut self, db: usize, bytes: &[u8]) {
        if self.database != Some(db) {
            self.scratch.clear();
            let mut digits = itoa::Buffer::new();
            wire::command(
                &mut self.scratch,
                &[b"SELECT".as_slice(), digits.format(db).as_bytes()],
            );
            self.log.append(&self.scratch);
            self.database = Some(db);
        }
        self.log.append(bytes);
    }

    /// Appends one execution unit: runs of RESP commands, each with its database. As Redis does, MULTI comes
    /// before the SELECT.
    pub(crate) fn append_unit(&mut self, parts: &[(usize, &[u8])], transaction: bool) -> u64 {
        if transaction {
            self.log.append(b"*1\r\n$5\r\nMULTI\r\n");
        }
        for (db, bytes) in parts {
            if !bytes.is_empty() {
                self.push(*db, bytes);
            }
        }
        if transaction {
            self.log.append(b"*1\r\n$4\r\nEXEC\r\n");
        }
        self.log.end()
    }

    /// Appends bytes that belong to no database: PING, REPLCONF GETACK, or a master's stream.
    pub(crate) fn append_raw(&mut self, bytes: &[u8]) -> u64 {
        self.log.append(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::repl::log::Next;

    fn all(stream: &mut Stream) -> String {
        let mut out = Vec::new();
        let first = stream.log.first();
        stream.log.read(first, 1 << 20, &mut out).unwrap();
        String::from_utf8(out.concat()).unwrap()
    }

    #[test]
    fn select_comes_when_the_database_changes() {
        let mut stream = Stream::new(ReplId::ZERO, 1 << 20);
        stream.open_backlog(ReplId::ZERO);
        stream.append_unit(&[(0, b"a")], false);
        stream.append_unit(&[(0, b"b")], false);
        stream.append_unit(&[(12, b"c")], true);
        assert_eq!(
            all(&mut stream),
            "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\nab*1\r\n$5\r\nMULTI\r\n\
             *2\r\n$6\r\nSELECT\r\n$2\r\n12\r\nc*1\r\n$4\r\nEXEC\r\n"
        );
    }

    #[test]
    fn a_reader_of_one_history_is_not_sent_another() {
        let clock = ManualClock::new(0, 1);
        for change in [
            |s: &mut Stream, id| s.shift(id),
            |s: &mut Stream, id| s.adopt(History::new(id), 0, None),
            |s: &mut Stream, id| s.open_backlog(id),
        ] {
            let mut stream = Stream::new(ReplId::ZERO, 1 << 20);
            stream.open_backlog(ReplId::ZERO);
            stream.append_raw(b"ours");
            let cursor = stream.log.attach(4).unwrap();
            change(&mut stream, ReplId::random(&*clock));
            stream.append_raw(b"another's");
            assert_eq!(stream.log.next(cursor, 4, 100), Next::Lost);
        }
    }

    #[test]
    fn a_forgotten_database_is_selected_again() {
        let mut stream = Stream::new(ReplId::ZERO, 1 << 20);
        stream.open_backlog(ReplId::ZERO);
        stream.append_unit(&[(0, b"a")], false);
        stream.database = None;
        let before = stream.log.end();
        stream.append_unit(&[(0, b"a")], false);
        assert_eq!(stream.log.end() - before, 24);
    }
}
