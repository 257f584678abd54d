//! Streams and their groups. Ids are small and given: those that a server makes are its clock's.

use super::{Command, Generator, Pool};

const GROUPS: &[&str] = &["g", "h", "other"];
const CONSUMERS: &[&str] = &["alice", "bob", "c"];
/// Claims are for one of these, whom nothing else names: 7.0 makes no consumer where nothing is claimed.
const CLAIMERS: &[&str] = &["claimer", "other"];

impl Generator {
    fn entry_id(&mut self) -> Vec<u8> {
        match self.rng.u8(..40) {
            0 => self
                .pick(&["0-0", "x", "-", "", "1-", "18446744073709551616", "1--2"])
                .into(),
            1 => "007-1".into(),
            2..6 => self.rng.u32(..60).to_string().into_bytes(),
            _ => format!("{}-{}", self.rng.u32(..60), self.rng.u32(..4)).into_bytes(),
        }
    }

    /// One that is most likely higher than those there are.
    fn new_id(&mut self) -> Vec<u8> {
        match self.rng.u8(..6) {
            0 => self.entry_id(),
            1 => format!("{}-*", self.rng.u32(..60)).into_bytes(),
            _ => format!("{}-{}", self.rng.u32(10..60), self.rng.u32(..30)).into_bytes(),
        }
    }

    fn id_bound(&mut self) -> Vec<u8> {
        match self.rng.u8(..8) {
            0 | 1 => "-".into(),
            2 | 3 => "+".into(),
            4 | 5 => [b"(".as_slice(), &self.entry_id()].concat(),
            _ => self.entry_id(),
        }
    }

    fn ids(&mut self, most: usize) -> Vec<Vec<u8>> {
        (0..self.rng.usize(1..=most))
            .map(|_| self.entry_id())
            .collect()
    }

    fn trimming(&mut self, command: &mut Command) {
        let (word, threshold) = match self.one_in(2) {
            true => ("MAXLEN", self.rng.i32(-1..12).to_string().into_bytes()),
            false => ("MINID", self.entry_id()),
        };
        command.push(word.into());
        match self.rng.u8(..6) {
            0 => command.push("=".into()),
            1 | 2 => {
                command.extend(["~".into(), threshold]);
                if self.one_in(2) {
                    command.extend(["LIMIT".into(), self.rng.u32(..9).to_string().into_bytes()]);
                }
                return;
            }
            _ => {}
        }
        command.push(threshold);
    }

    pub(super) fn stream(&mut self) -> Command {
        let key = self.key(Pool::Stream);
        match self.rng.u8(..40) {
            0..10 => self.stream_add(key),
            10 | 11 => {
                let mut command = cmd!["XDEL", key];
                command.extend(self.ids(3));
                command
            }
            12 => {
                let mut command = cmd!["XTRIM", key];
                self.trimming(&mut command);
                command
            }
            13 => cmd!["XLEN", key],
            14..17 => {
                let name = self.pick(&["XRANGE", "XREVRANGE"]);
                let mut command = cmd![name, key, self.id_bound(), self.id_bound()];
                if self.one_in(2) {
                    command.extend(cmd!["COUNT", self.rng.i32(-1..6).to_string()]);
                }
                command
            }
            17 => {
                let mut command = cmd!["XREAD"];
                if self.one_in(2) {
                    command.extend(cmd!["COUNT", self.rng.i32(-1..6).to_string()]);
                }
                let other = self.key(Pool::Stream);
                command.extend(cmd![
                    "STREAMS",
                    key,
                    other,
                    self.entry_id(),
                    self.entry_id()
                ]);
                command
            }
            18 => cmd!["XINFO", "GROUPS", key],
            19 => cmd!["XINFO", "STREAM", key],
            20 => {
                // No lower id: see `forbidden`.
                let mut command = cmd!["XSETID", key, format!("60-{}", self.rng.u32(..4))];
                if self.one_in(2) {
                    command.extend(cmd!["ENTRIESADDED", self.rng.u32(..20).to_string()]);
                }
                if self.one_in(2) {
                    command.extend(cmd!["MAXDELETEDID", self.entry_id()]);
                }
                command
            }
            // So that ids do not all end up at the top.
            21 => cmd!["DEL", key],
            _ => self.stream_group(key),
        }
    }

    fn stream_add(&mut self, key: Vec<u8>) -> Command {
        let mut command = cmd!["XADD", key];
        if self.one_in(8) {
            command.push("NOMKSTREAM".into());
        }
        if self.one_in(6) {
            self.trimming(&mut command);
        }
        command.push(self.new_id());
        let fields = if self.one_in(3) { 3 } else { 1 };
        for at in 0..self.rng.usize(1..=fields) {
            let field = match at {
                0 => "field".into(),
                _ => self.element(),
            };
            command.extend([field, self.value()]);
        }
        if self.one_in(30) {
            command.pop();
        }
        command
    }

    fn stream_group(&mut self, key: Vec<u8>) -> Command {
        let (group, consumer) = (self.pick(GROUPS), self.pick(CONSUMERS));
        match self.rng.u8(..20) {
            0..3 => {
                let id = if self.one_in(4) {
                    "$".into()
                } else {
                    self.entry_id()
                };
                let mut command = cmd!["XGROUP", "CREATE", key, group, id];
                if self.one_in(3) {
                    command.push("MKSTREAM".into());
                }
                command
            }
            3 => cmd!["XGROUP", "SETID", key, group, self.entry_id()],
            4 => match self.rng.u8(..6) {
                0 => cmd!["XGROUP", "DESTROY", key, group],
                1 | 2 => cmd!["XGROUP", "DELCONSUMER", key, group, consumer],
                // One that reads nothing: 7.0 makes no consumer for that either.
                _ => cmd!["XGROUP", "CREATECONSUMER", key, group, "idle"],
            },
            5..10 => {
                let mut command = cmd!["XREADGROUP", "GROUP", group, consumer];
                if self.one_in(2) {
                    command.extend(cmd!["COUNT", self.rng.u32(1..4).to_string()]);
                }
                if self.one_in(6) {
                    command.push("NOACK".into());
                }
                let id = if self.one_in(4) {
                    self.entry_id()
                } else {
                    ">".into()
                };
                command.extend(cmd!["STREAMS", key, id]);
                command
            }
            10..13 => {
                let mut command = cmd!["XACK", key, group];
                command.extend(self.ids(4));
                command
            }
            13 => cmd!["XPENDING", key, group],
            14 => {
                let mut command = cmd![
                    "XPENDING",
                    key,
                    group,
                    self.id_bound(),
                    self.id_bound(),
                    "10"
                ];
                if self.one_in(3) {
                    command.push(consumer.into());
                }
                command
            }
            15..18 => {
                let idle = self.pick(&["0", "0", "100000000"]);
                let claimer = self.pick(CLAIMERS);
                let mut command = cmd!["XCLAIM", key, group, claimer, idle];
                command.extend(self.ids(3));
                for (word, value) in [("JUSTID", false), ("FORCE", false), ("RETRYCOUNT", true)] {
                    if self.one_in(3) {
                        command.push(word.into());
                        command.extend(value.then(|| self.rng.u32(..9).to_string().into_bytes()));
                    }
                }
                if self.one_in(5) {
                    command.extend(cmd!["LASTID", self.entry_id()]);
                }
                command
            }
            _ => {
                let idle = self.pick(&["0", "0", "100000000"]);
                let claimer = self.pick(CLAIMERS);
                let mut command = cmd!["XAUTOCLAIM", key, group, claimer, idle, self.id_bound()];
                if self.one_in(2) {
                    command.extend(cmd!["COUNT", self.rng.u32(..4).to_string()]);
                }
                if self.one_in(2) {
                    command.push("JUSTID".into());
                }
                command
            }
        }
    }
}
