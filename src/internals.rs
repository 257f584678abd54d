//! What the binary, benchmarks, fuzz targets, integration tests and examples use of the crate's inside. No part of the
//! library: any of it may change at any time. `tests/tidy.rs` keeps it to what is used.

pub mod actors {
    pub mod node {
        pub mod shutdown {
            pub use crate::actors::node::shutdown::Shutdown;
        }
    }

    pub mod snapshots {
        pub mod snapshot_writer {
            pub use crate::actors::snapshots::snapshot_writer::temporary_path;
        }
    }
}

pub mod clients {
    pub mod client {
        pub use crate::clients::client::Client;
    }
}

pub mod clock {
    pub use crate::clock::SystemClock;
}

pub mod command {
    pub use crate::command::context::Context;
    pub use crate::command::context::effects::Effects;

    pub mod digest {
        pub use crate::command::server::digest::{DatasetDigest, ScoreForm, hex, value_digest};
    }

    pub mod dispatch {
        pub use crate::command::dispatch::{Outcome, run};
    }
}

pub mod config {
    pub use crate::config::COMMAND_LINE;
    pub use crate::config::layers::{Loaded, flags_to_lines};
    pub use crate::config::lines::InvalidConfig;

    pub mod layers {
        pub use crate::config::layers::{Form, Layers, flags_to_lines, is_variable, load};
    }

    pub mod lines {
        pub use crate::config::lines::Origin;
    }

    pub mod rewrite {
        pub use crate::config::rewrite::{StartSettings, Target, rewrite};
    }

    pub mod table {
        pub use crate::config::table::find;
    }
}

pub mod data {
    pub use crate::data::hash::Hash;
    pub use crate::data::list::List;
    pub use crate::data::set::Set;
    pub use crate::data::stream::{Stream, StreamId};
    pub use crate::data::string::StrRef;
    pub use crate::data::zset::Zset;
    pub use crate::data::{Value, ValueRef};

    pub mod bits {
        pub use crate::data::bits::combine::{Operation, combine};
        pub use crate::data::bits::count;
    }

    pub mod flat {
        pub use crate::data::flat::capacity_for;
    }

    pub mod hyperloglog {
        pub use crate::data::hyperloglog::{
            Element, Encoding, add, empty, encoding, estimate, merge, merge_back, to_dense,
        };
    }

    pub mod intset {
        pub use crate::data::intset::{Intset, validate};
    }

    pub mod list {
        pub use crate::data::list::End;
    }

    pub mod listpack {
        pub use crate::data::listpack::{Listpack, validate};
    }
}

pub mod keyspace {
    pub use crate::keyspace::db::Expiry;
    pub use crate::keyspace::entering::{Keyspace, ShardSet};
}

pub mod may_block {
    pub use crate::may_block::{may_block, may_block_here};
}

pub mod node {
    pub mod compare {
        pub use crate::node::compare::{Compared, Options, compare};
    }
}

pub mod node_core {
    pub use crate::node_core::{NodeCore, ShutdownOptions};
}

pub mod observe {
    pub mod process {
        pub use crate::observe::process::{REDIS_VERSION, UNDERSTUDY_VERSION};
    }
}

pub mod os {
    pub mod config_file {
        pub use crate::os::config_file::{absolute_directory, read, spool_directory, system_text};
    }

    pub mod file_limit {
        pub use crate::os::file_limit::{current, needed, raise_for};
    }

    pub mod priority {
        pub use crate::os::priority::raise_to_log;
    }

    pub mod system_probe {
        pub use crate::os::system_probe::{SystemProbe, cpu_us, resident_bytes, system_bytes};
    }
}

pub mod rdb {
    pub mod crc64 {
        pub use crate::rdb::crc64::crc64;
    }

    pub mod decode {
        pub use crate::rdb::decode::{Decoded, value};
    }

    pub mod legacy {
        pub use crate::rdb::legacy::{ziplist, zipmap};
    }

    pub mod lzf {
        pub use crate::rdb::lzf::{Compressor, decompress};
    }

    pub mod opaque {
        pub use crate::rdb::opaque::ModuleAux;
    }

    pub mod payload {
        pub use crate::rdb::payload::{read, write};
    }

    pub mod pieces {
        pub use crate::rdb::pieces::Pieces;
    }

    pub mod reader {
        pub use crate::rdb::reader::{LoadResult, Loaded, Loader, Options, load};
    }

    pub mod source {
        pub use crate::rdb::source::{Source, Text};
    }

    pub mod writer {
        pub use crate::rdb::writer::{ChunkSink, ChunkWriter, Encoder, KeyHeader, Preamble, Usage};
    }
}

pub mod repl {
    pub use crate::repl::log::Log;

    pub mod link {
        pub use crate::repl::link::{Env, Link, LinkAction, LinkConfig, LinkState};
    }

    pub mod psync {
        pub use crate::repl::psync::Request;
    }

    pub mod replid {
        pub use crate::repl::replid::ReplId;
    }

    pub mod wire {
        pub use crate::repl::wire::command;
    }
}

pub mod resp {
    pub use crate::resp::reply::{Reply, Resp};

    pub mod request {
        pub use crate::resp::request::{Batch, Limits, Parser};
    }
}

pub mod session {
    pub use crate::session::{Origin, Session};
}

pub mod snapshot {
    pub use crate::snapshot::{Options, Snapshot, Want};
}

pub mod supervision {
    pub use crate::supervision::Owner;
    pub use crate::supervision::panics::log_panics;
}

pub mod testing {
    pub use crate::testing::scripts::ScriptRoom;
    pub use crate::testing::world::{Report, run_seed};
}

pub mod text {
    pub mod printable {
        pub use crate::text::printable::one_line;
    }
}
