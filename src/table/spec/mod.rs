//! The command table as data: what each command is called, takes, touches and promises.
//!
//! One file per group holds the rows; nothing here runs. [`super::CommandTable`] has the rows
//! with what follows from them (the legacy key range, implied ACL categories, `movablekeys`).
//! Invariants, checked by tests: names are lower case and unique; a subcommand is named `container|name`;
//! an argument's `key_spec` is an index into its command's `keys`.

mod bitmap;
mod cluster;
mod connection;
mod generic;
mod generic_expiry;
mod geo;
mod hash;
mod hash_expiry;
mod hyperloglog;
mod list;
mod module;
mod pubsub;
mod scripting;
mod server;
mod server_introspection;
mod set;
mod sorted_set;
mod sorted_set_range;
mod stream;
mod stream_group;
mod string;
mod transactions;

pub(crate) use crate::observe::redaction::Secrets;

/// What a command is and does, as bits; the `bits` module names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u32);

/// ACL categories, as bits; the `bits` module names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Categories(pub(crate) u32);

/// How a key is used, as bits; the `bits` module names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyFlags(pub(crate) u16);

/// The bits of [`Flags`], [`Categories`] and [`KeyFlags`], to be joined with `|` in the rows.
pub(crate) mod bits {
    // Flags.
    pub(crate) const WRITE: u32 = 1;
    pub(crate) const READONLY: u32 = 1 << 1;
    pub(crate) const DENY_OOM: u32 = 1 << 2;
    pub(crate) const ADMIN: u32 = 1 << 3;
    pub(crate) const PUBSUB: u32 = 1 << 4;
    pub(crate) const NO_SCRIPT: u32 = 1 << 5;
    pub(crate) const BLOCKING: u32 = 1 << 6;
    /// Runs while a dump is being loaded.
    pub(crate) const LOADING: u32 = 1 << 7;
    /// Runs on a replica that lost its master and must not serve stale data.
    pub(crate) const STALE: u32 = 1 << 8;
    pub(crate) const SKIP_MONITOR: u32 = 1 << 9;
    pub(crate) const SKIP_SLOWLOG: u32 = 1 << 10;
    pub(crate) const ASKING: u32 = 1 << 11;
    pub(crate) const FAST: u32 = 1 << 12;
    pub(crate) const NO_AUTH: u32 = 1 << 13;
    /// Not a write, and yet may have effects to replicate (PUBLISH).
    pub(crate) const MAY_REPLICATE: u32 = 1 << 14;
    pub(crate) const NO_MANDATORY_KEYS: u32 = 1 << 15;
    /// Refused unless `enable-debug-command` allows it.
    pub(crate) const DEBUG_PROTECTED: u32 = 1 << 16;
    pub(crate) const NO_ASYNC_LOADING: u32 = 1 << 17;
    pub(crate) const NO_MULTI: u32 = 1 << 18;
    /// Set by the table, never in a row: keys are not where the legacy range says.
    pub(crate) const MOVABLE_KEYS: u32 = 1 << 19;
    pub(crate) const ALLOW_BUSY: u32 = 1 << 20;
    pub(crate) const TOUCHES_ARBITRARY_KEYS: u32 = 1 << 21;
    // Flags of this node's own, which no client is shown.
    /// Refused unless `enable-module-command` allows it.
    pub(crate) const MODULE_PROTECTED: u32 = 1 << 22;
    /// Runs what a MULTI has queued (EXEC).
    pub(crate) const RUNS_QUEUE: u32 = 1 << 23;
    /// Runs inside an open MULTI instead of being queued.
    pub(crate) const RUNS_IN_MULTI: u32 = 1 << 24;
    /// Ends an open MULTI, so that it needs no more memory: out of memory, it is not refused there.
    pub(crate) const ENDS_MULTI: u32 = 1 << 25;
    /// A RESP2 session that has subscriptions may run it.
    pub(crate) const WHILE_SUBSCRIBED: u32 = 1 << 26;
    /// What its client waits for (a dump file, an answer from elsewhere) ends by itself: neither CLIENT UNBLOCK nor a
    /// new role does it.
    pub(crate) const WAIT_ENDS_ITSELF: u32 = 1 << 27;
    /// Refused like a write while dumps can't be saved, so that load balancers and monitors notice (PING).
    pub(crate) const SHOWS_DISK_ERRORS: u32 = 1 << 28;
    /// The node ends where it succeeds (SHUTDOWN).
    pub(crate) const ENDS_NODE: u32 = 1 << 29;
    /// While a slow script is inside some shards, it makes do with the others (INFO).
    pub(crate) const BESIDE_SCRIPTS: u32 = 1 << 30;

    // Categories, in the order in which Redis lists them.
    pub(crate) const CAT_KEYSPACE: u32 = 1;
    pub(crate) const CAT_READ: u32 = 1 << 1;
    pub(crate) const CAT_WRITE: u32 = 1 << 2;
    pub(crate) const CAT_SET: u32 = 1 << 3;
    pub(crate) const CAT_SORTED_SET: u32 = 1 << 4;
    pub(crate) const CAT_LIST: u32 = 1 << 5;
    pub(crate) const CAT_HASH: u32 = 1 << 6;
    pub(crate) const CAT_STRING: u32 = 1 << 7;
    pub(crate) const CAT_BITMAP: u32 = 1 << 8;
    pub(crate) const CAT_HYPERLOGLOG: u32 = 1 << 9;
    pub(crate) const CAT_GEO: u32 = 1 << 10;
    pub(crate) const CAT_STREAM: u32 = 1 << 11;
    pub(crate) const CAT_PUBSUB: u32 = 1 << 12;
    pub(crate) const CAT_ADMIN: u32 = 1 << 13;
    pub(crate) const CAT_FAST: u32 = 1 << 14;
    pub(crate) const CAT_SLOW: u32 = 1 << 15;
    pub(crate) const CAT_BLOCKING: u32 = 1 << 16;
    pub(crate) const CAT_DANGEROUS: u32 = 1 << 17;
    pub(crate) const CAT_CONNECTION: u32 = 1 << 18;
    pub(crate) const CAT_TRANSACTION: u32 = 1 << 19;
    pub(crate) const CAT_SCRIPTING: u32 = 1 << 20;

    // Key flags.
    pub(crate) const RO: u16 = 1;
    pub(crate) const RW: u16 = 1 << 1;
    pub(crate) const OW: u16 = 1 << 2;
    pub(crate) const RM: u16 = 1 << 3;
    pub(crate) const ACCESS: u16 = 1 << 4;
    pub(crate) const UPDATE: u16 = 1 << 5;
    pub(crate) const INSERT: u16 = 1 << 6;
    pub(crate) const DELETE: u16 = 1 << 7;
    /// Looks like a key (routes in a cluster) but is none: a shard channel.
    pub(crate) const NOT_KEY: u16 = 1 << 8;
    pub(crate) const INCOMPLETE: u16 = 1 << 9;
    pub(crate) const VARIABLE_FLAGS: u16 = 1 << 10;
}

impl Flags {
    /// Whether any of `bits` is set.
    pub(crate) const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// The names that COMMAND INFO shows, with their bits, in its order.
    pub(crate) const NAMES: &'static [(u32, &'static str)] = &[
        (bits::WRITE, "write"),
        (bits::READONLY, "readonly"),
        (bits::DENY_OOM, "denyoom"),
        (bits::ADMIN, "admin"),
        (bits::PUBSUB, "pubsub"),
        (bits::NO_SCRIPT, "noscript"),
        (bits::BLOCKING, "blocking"),
        (bits::LOADING, "loading"),
        (bits::STALE, "stale"),
        (bits::SKIP_MONITOR, "skip_monitor"),
        (bits::SKIP_SLOWLOG, "skip_slowlog"),
        (bits::ASKING, "asking"),
        (bits::FAST, "fast"),
        (bits::NO_AUTH, "no_auth"),
        (bits::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (bits::NO_ASYNC_LOADING, "no_async_loading"),
        (bits::NO_MULTI, "no_multi"),
        (bits::MOVABLE_KEYS, "movablekeys"),
        (bits::ALLOW_BUSY, "allow_busy"),
    ];
}

impl Categories {
    /// Whether any of `bits` is set.
    pub(crate) const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// Every category's name with its bit, in Redis's order.
    pub(crate) const NAMES: &'static [(u32, &'static str)] = &[
        (bits::CAT_KEYSPACE, "keyspace"),
        (bits::CAT_READ, "read"),
        (bits::CAT_WRITE, "write"),
        (bits::CAT_SET, "set"),
        (bits::CAT_SORTED_SET, "sortedset"),
        (bits::CAT_LIST, "list"),
        (bits::CAT_HASH, "hash"),
        (bits::CAT_STRING, "string"),
        (bits::CAT_BITMAP, "bitmap"),
        (bits::CAT_HYPERLOGLOG, "hyperloglog"),
        (bits::CAT_GEO, "geo"),
        (bits::CAT_STREAM, "stream"),
        (bits::CAT_PUBSUB, "pubsub"),
        (bits::CAT_ADMIN, "admin"),
        (bits::CAT_FAST, "fast"),
        (bits::CAT_SLOW, "slow"),
        (bits::CAT_BLOCKING, "blocking"),
        (bits::CAT_DANGEROUS, "dangerous"),
        (bits::CAT_CONNECTION, "connection"),
        (bits::CAT_TRANSACTION, "transaction"),
        (bits::CAT_SCRIPTING, "scripting"),
    ];

    /// The category called `name`, in any case.
    pub(crate) fn by_name(name: &[u8]) -> Option<Categories> {
        Categories::NAMES
            .iter()
            .find(|(_, n)| n.as_bytes().eq_ignore_ascii_case(name))
            .map(|(bit, _)| Categories(*bit))
    }
}

impl KeyFlags {
    /// Whether any of `bits` is set.
    pub(crate) const fn has(self, bits: u16) -> bool {
        self.0 & bits != 0
    }

    /// The names that COMMAND INFO and GETKEYSANDFLAGS show, with their bits, in their order.
    pub(crate) const NAMES: &'static [(u16, &'static str)] = &[
        (bits::RO, "RO"),
        (bits::RW, "RW"),
        (bits::OW, "OW"),
        (bits::RM, "RM"),
        (bits::ACCESS, "access"),
        (bits::UPDATE, "update"),
        (bits::INSERT, "insert"),
        (bits::DELETE, "delete"),
        (bits::NOT_KEY, "not_key"),
        (bits::INCOMPLETE, "incomplete"),
        (bits::VARIABLE_FLAGS, "variable_flags"),
    ];
}

/// The part of the documentation that a command belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Bitmap,
    HyperLogLog,
    Geo,
    PubSub,
    Transactions,
    Connection,
    Scripting,
    Server,
    Cluster,
    Stream,
}

impl Group {
    /// As COMMAND DOCS spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Bitmap => "bitmap",
            Group::HyperLogLog => "hyperloglog",
            Group::Geo => "geo",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Scripting => "scripting",
            Group::Server => "server",
            Group::Cluster => "cluster",
            Group::Stream => "stream",
        }
    }
}

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BeginSearch {
    /// At this argument.
    Index(usize),
    /// After this word, looked for from `start_from` on (negative: backwards from the end).
    Keyword {
        keyword: &'static str,
        start_from: i32,
    },
    Unknown,
}

/// Which arguments from there on are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FindKeys {
    /// Up to `last_key` (relative; negative: from the end), each `step`th. A `limit` over 1 takes only
    /// that fraction of the remaining arguments.
    Range {
        last_key: i32,
        step: i32,
        limit: i32,
    },
    /// As many as the number at `count_index` says, from `first_key` on (both relative).
    Count {
        count_index: i32,
        first_key: i32,
        step: i32,
    },
    Unknown,
}

/// One rule for finding keys among a command's arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySpec {
    pub(crate) notes: &'static str,
    pub(crate) flags: KeyFlags,
    pub(crate) begin: BeginSearch,
    pub(crate) find: FindKeys,
}

impl KeySpec {
    /// The one argument at `index`.
    pub(crate) const fn at(index: usize, flags: u16) -> KeySpec {
        KeySpec::range(index, 0, 1, flags)
    }

    /// From `index` up to `last_key` (relative, or negative from the end), each `step`th.
    pub(crate) const fn range(index: usize, last_key: i32, step: i32, flags: u16) -> KeySpec {
        KeySpec {
            notes: "",
            flags: KeyFlags(flags),
            begin: BeginSearch::Index(index),
            find: FindKeys::Range {
                last_key,
                step,
                limit: 0,
            },
        }
    }

    /// The count at `index`, then as many keys.
    pub(crate) const fn counted(index: usize, flags: u16) -> KeySpec {
        KeySpec {
            notes: "",
            flags: KeyFlags(flags),
            begin: BeginSearch::Index(index),
            find: FindKeys::Count {
                count_index: 0,
                first_key: 1,
                step: 1,
            },
        }
    }

    /// The one argument after this word, looked for from `start_from` on.
    pub(crate) const fn after_word(word: &'static str, start_from: i32, flags: u16) -> KeySpec {
        KeySpec {
            begin: BeginSearch::Keyword {
                keyword: word,
                start_from,
            },
            ..KeySpec::range(0, 0, 1, flags)
        }
    }

    /// Keys that no rule can find.
    pub(crate) const fn unknown(flags: u16) -> KeySpec {
        KeySpec {
            notes: "",
            flags: KeyFlags(flags),
            begin: BeginSearch::Unknown,
            find: FindKeys::Unknown,
        }
    }

    pub(crate) const fn notes(self, notes: &'static str) -> KeySpec {
        KeySpec { notes, ..self }
    }
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArgKind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl ArgKind {
    /// As COMMAND DOCS spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ArgKind::String => "string",
            ArgKind::Integer => "integer",
            ArgKind::Double => "double",
            ArgKind::Key => "key",
            ArgKind::Pattern => "pattern",
            ArgKind::UnixTime => "unix-time",
            ArgKind::PureToken => "pure-token",
            ArgKind::OneOf => "oneof",
            ArgKind::Block => "block",
        }
    }
}

/// One argument, for COMMAND DOCS. Empty texts mean "none".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arg {
    pub(crate) name: &'static str,
    pub(crate) kind: ArgKind,
    /// Differs from the name where set.
    pub(crate) display: &'static str,
    pub(crate) key_spec: Option<u8>,
    pub(crate) token: &'static str,
    pub(crate) since: &'static str,
    pub(crate) deprecated_since: &'static str,
    pub(crate) optional: bool,
    pub(crate) multiple: bool,
    pub(crate) multiple_token: bool,
    pub(crate) parts: &'static [Arg],
}

impl Arg {
    pub(crate) const fn new(name: &'static str, kind: ArgKind) -> Arg {
        Arg {
            name,
            kind,
            display: "",
            key_spec: None,
            token: "",
            since: "",
            deprecated_since: "",
            optional: false,
            multiple: false,
            multiple_token: false,
            parts: &[],
        }
    }

    pub(crate) const fn string(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::String)
    }

    pub(crate) const fn integer(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Integer)
    }

    pub(crate) const fn double(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Double)
    }

    pub(crate) const fn pattern(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::Pattern)
    }

    pub(crate) const fn unix_time(name: &'static str) -> Arg {
        Arg::new(name, ArgKind::UnixTime)
    }

    /// A key found by the key spec of that index.
    pub(crate) const fn key(name: &'static str, key_spec: u8) -> Arg {
        Arg::new(name, ArgKind::Key).found_by(key_spec)
    }

    /// A word that stands for itself.
    pub(crate) const fn word(name: &'static str, token: &'static str) -> Arg {
        Arg::new(name, ArgKind::PureToken).after(token)
    }

    pub(crate) const fn one_of(name: &'static str, parts: &'static [Arg]) -> Arg {
        let mut arg = Arg::new(name, ArgKind::OneOf);
        arg.parts = parts;
        arg
    }

    pub(crate) const fn block(name: &'static str, parts: &'static [Arg]) -> Arg {
        let mut arg = Arg::new(name, ArgKind::Block);
        arg.parts = parts;
        arg
    }

    /// The word that announces it.
    pub(crate) const fn after(mut self, token: &'static str) -> Arg {
        self.token = token;
        self
    }

    pub(crate) const fn found_by(mut self, key_spec: u8) -> Arg {
        self.key_spec = Some(key_spec);
        self
    }

    pub(crate) const fn shown_as(mut self, display: &'static str) -> Arg {
        self.display = display;
        self
    }

    pub(crate) const fn since(mut self, version: &'static str) -> Arg {
        self.since = version;
        self
    }

    /// Better not used since that version.
    pub(crate) const fn deprecated(mut self, version: &'static str) -> Arg {
        self.deprecated_since = version;
        self
    }

    pub(crate) const fn optional(mut self) -> Arg {
        self.optional = true;
        self
    }

    pub(crate) const fn multiple(mut self) -> Arg {
        self.multiple = true;
        self
    }

    /// Multiple, its word given each time.
    pub(crate) const fn multiple_token(mut self) -> Arg {
        self.multiple = true;
        self.multiple_token = true;
        self
    }
}

/// What COMMAND DOCS says about a command's standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DocFlag {
    #[default]
    None,
    Deprecated,
    /// Meant for servers, not for people.
    System,
}

/// Which shards a command enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those of its keys (none, if it has no keys).
    #[default]
    Keys,
    /// All of them.
    Every,
    /// One after the other, but for a transaction's, which is inside all of them (SCAN).
    Stepwise,
    /// Those that its script is known to need, which may be all of them.
    Script,
}

/// A command whose keys the rules don't tell completely, or whose flags depend on its options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SpecialKeys {
    #[default]
    None,
    /// SORT's source and the last STORE; BY and GET patterns may reach any key.
    Sort,
    SortReadonly,
    /// SET reads too when GET is given.
    Set,
    /// BITFIELD only reads if all it is given are GETs.
    Bitfield,
    /// GEORADIUS and GEORADIUSBYMEMBER store at the last of several STOREs.
    GeoStore,
    /// XREAD's and XREADGROUP's follow the word STREAMS, which a group's or consumer's name may look like.
    Streams,
    /// MIGRATE has one key, or those after the word KEYS, which an option's value may look like.
    Migrate,
}

/// One row of the command table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandSpec {
    /// Lower case; a subcommand's is "container|name".
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) since: &'static str,
    pub(crate) group: Group,
    /// Empty: not stated.
    pub(crate) complexity: &'static str,
    pub(crate) doc_flag: DocFlag,
    pub(crate) deprecated_since: &'static str,
    pub(crate) replaced_by: &'static str,
    /// Version and what changed in it.
    pub(crate) history: &'static [(&'static str, &'static str)],
    pub(crate) tips: &'static [&'static str],
    /// Number of arguments with the name; negative: at least that many.
    pub(crate) arity: i32,
    pub(crate) flags: Flags,
    /// Those that don't follow from the flags.
    pub(crate) categories: Categories,
    pub(crate) keys: &'static [KeySpec],
    pub(crate) special_keys: SpecialKeys,
    pub(crate) reach: Reach,
    /// The argument that it looks up in the collection at its key (the first, if there are several).
    pub(crate) member_arg: Option<usize>,
    /// What MONITOR and SLOWLOG must not show.
    pub(crate) secrets: Secrets,
    pub(crate) arguments: &'static [Arg],
    pub(crate) subcommands: &'static [CommandSpec],
}

impl CommandSpec {
    /// A row's defaults.
    pub(crate) const fn of(group: Group) -> CommandSpec {
        CommandSpec {
            name: "",
            summary: "",
            since: "",
            group,
            complexity: "",
            doc_flag: DocFlag::None,
            deprecated_since: "",
            replaced_by: "",
            history: &[],
            tips: &[],
            arity: 1,
            flags: Flags(0),
            categories: Categories(0),
            keys: &[],
            special_keys: SpecialKeys::None,
            reach: Reach::Keys,
            member_arg: None,
            secrets: Secrets::None,
            arguments: &[],
            subcommands: &[],
        }
    }

    /// The name after the container's: "get" of "config|get".
    pub(crate) fn short_name(&self) -> &'static str {
        self.name.rsplit('|').next().unwrap_or(self.name)
    }
}

/// Every group's rows.
pub(crate) const GROUPS: &[&[CommandSpec]] = &[
    bitmap::SPECS,
    cluster::SPECS,
    connection::SPECS,
    generic::SPECS,
    generic_expiry::SPECS,
    geo::SPECS,
    hash::SPECS,
    hash_expiry::SPECS,
    hyperloglog::SPECS,
    list::SPECS,
    module::SPECS,
    pubsub::SPECS,
    scripting::SPECS,
    server::SPECS,
    server_introspection::SPECS,
    set::SPECS,
    sorted_set::SPECS,
    sorted_set_range::SPECS,
    stream::SPECS,
    stream_group::SPECS,
    string::SPECS,
    transactions::SPECS,
];
