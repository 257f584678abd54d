//! The dump file.

use super::super::directive::{Directive, at, number_at};
use super::special;

const I32: i128 = i32::MAX as i128;
type D = Directive;

#[rustfmt::skip]
pub(super) const DIRECTIVES: &[Directive] = &[
    D::special("save", special::SAVE,
        "Save after so many seconds if there were at least so many changes; empty: never by itself.").many_words(),
    D::text("dbfilename", at!(dbfilename),
        "Name of the dump file, without a directory; empty: none, nothing is loaded or saved, and full syncs are diskless.").protected().check(special::check_dbfilename),
    D::yes_no("rdbcompression", at!(rdbcompression),
        "Compress strings in dumps (LZF)."),
    D::yes_no("rdbchecksum", at!(rdbchecksum),
        "End dumps with a CRC64, and check it when loading.").immutable(),
    D::yes_no("rdb-del-sync-files", at!(rdb_del_sync_files),
        "Delete dump files that served replication only, when nothing else wants them."),
    D::yes_no("rdb-save-incremental-fsync", at!(rdb_save_incremental_fsync),
        "Push a dump to the disk every few megabytes while it is written."),
    D::yes_no("stop-writes-on-bgsave-error", at!(stop_writes_on_bgsave_error),
        "Refuse writes, and PING, while the last background save failed and there are save points."),
    D::number("rdb-key-save-delay", number_at!(rdb_key_save_delay), i32::MIN as i128, I32,
        "For tests: microseconds to wait after each saved key.").hidden(),
    D::number("key-load-delay", number_at!(key_load_delay), i32::MIN as i128, I32,
        "For tests: microseconds to wait after each loaded key.").hidden(),
];
