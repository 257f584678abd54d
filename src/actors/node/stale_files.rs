//! Files that killed processes of ours left behind, removed when a node starts: dumps on their way, segments
//! of the spool, rewritten configurations.
//!
//! Only what is surely nobody's any more goes: a regular file of our own user, whose name is exactly one that
//! we give, with the number of a process that has ended (or our own number: in containers it comes again),
//! and that no process of this machine has open. The last counts where a directory is shared by processes
//! that don't see each other, or by several nodes of one process. redis-server names its dumps alike, so what
//! a killed one left goes too.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::actors::snapshots::{snapshot_writer, spool_file};
use crate::may_block::may_block_here;
use crate::node_core::NodeCore;
use crate::os::config_file;
use crate::text::printable::printable_path;

/// The number of the process that a file's name tells of; none if the name is not one of this kind.
type ProcessOf<'a> = dyn Fn(&str) -> Option<u32> + 'a;

/// Removes what earlier processes left where this node keeps its files.
pub(crate) fn remove(node: &NodeCore) {
    may_block_here();
    let settings = node.settings.load();
    let data = settings.dir.as_deref().unwrap_or(".");
    if settings.has_dump() {
        remove_in(Path::new(data), &snapshot_writer::process_of);
    }
    remove_in(&spool_file::directory(&settings), &spool_file::process_of);
    if let Some(path) = &node.process.config_file
        && let (Some(directory), Some(name)) = (path.parent(), path.file_name())
    {
        let name = name.to_string_lossy();
        remove_in(directory, &|file| config_file::process_of(&name, file));
    }
}

fn remove_in(directory: &Path, process_of: &ProcessOf<'_>) {
    // A directory that can't be read says so where it is needed.
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let ended = entry.file_name().to_str().and_then(process_of);
        if !ended.is_some_and(has_ended) || !is_nobodys(&entry.path()) {
            continue;
        }
        let path = entry.path();
        match fs::remove_file(&path) {
            Ok(()) => tracing::info!(
                "Removed what a killed process left: {}",
                printable_path(&path)
            ),
            Err(error) => tracing::warn!(
                "{}, which a killed process left, can't be removed: {error}",
                printable_path(&path)
            ),
        }
    }
}

/// Whether no other process has this number. One that has it may be another than the one we look for: then
/// the file stays.
fn has_ended(process: u32) -> bool {
    // SAFETY: signal 0 is sent to nobody; it is only looked whether it could be.
    let found = unsafe { libc::kill(process as i32, 0) } == 0
        || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH);
    !found || process == std::process::id()
}

/// Whether this is a regular file of our own user that no process has open.
fn is_nobodys(path: &Path) -> bool {
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let Ok(file) = opened else {
        return false;
    };
    // SAFETY: takes nothing and can't fail.
    let user = unsafe { libc::geteuid() };
    let ours = file
        .metadata()
        .is_ok_and(|meta| meta.is_file() && meta.uid() == user);
    ours && is_open_here_only(&file)
}

/// Whether no other open file leads to this one: only then Linux grants a write lease, whichever process the
/// other belongs to. A file system without leases leaves it open.
#[cfg(target_os = "linux")]
fn is_open_here_only(file: &File) -> bool {
    // Of linux/fcntl.h; the libc crate has not all of them.
    const F_SETSIG: i32 = 10;
    const F_SETLEASE: i32 = 1024;
    let descriptor = file.as_raw_fd();
    // SAFETY: these commands take numbers. Whoever opens the file before the lease is given back sends the
    // signal named here: one that is ignored by default, where the default of all would end the process.
    unsafe {
        libc::fcntl(descriptor, F_SETSIG, libc::SIGURG) == 0
            && libc::fcntl(descriptor, F_SETLEASE, libc::F_WRLCK) == 0
            && libc::fcntl(descriptor, F_SETLEASE, libc::F_UNLCK) == 0
    }
}

/// Nobody can be asked here.
#[cfg(not(target_os = "linux"))]
fn is_open_here_only(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of a process that has ended.
    fn ended() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn what_ended_processes_left_goes_and_all_else_stays() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let (ended, own) = (ended(), std::process::id());
        // Nobody sees the first process end.
        let living = 1;
        let goes = [
            format!("temp-{ended}.rdb"),
            format!("temp-{ended}-7.rdb"),
            format!("temp-{own}.rdb"),
            format!("temp-repl-spool-{ended}-7f00aa-3.tmp"),
            format!("redis.conf.understudy-{ended}.new"),
        ];
        let stays = [
            format!("temp-{living}.rdb"),
            format!("temp-{living}-2.rdb"),
            format!("temp-repl-spool-{living}-7f00aa-3.tmp"),
            format!("redis.conf.understudy-{living}.new"),
            format!("other.conf.understudy-{ended}.new"),
            format!("redis.conf.{ended}.new"),
            // Redis's own, of a full sync and of a rewritten append-only file; a user's.
            format!("temp-1700000000.{ended}.rdb"),
            format!("temp-rewriteaof-{ended}.aof"),
            format!("temp-{ended}.rdb.bak"),
            format!("temp-0{ended}.rdb"),
            format!("temp-{ended}-.rdb"),
            format!("temp-repl-spool-{ended}.tmp"),
            "temp-.rdb".into(),
            "temp-20240101000000.rdb".into(),
            "temp-3000000000.rdb".into(),
            "temp-monday.rdb".into(),
            "temp--1.rdb".into(),
            "dump.rdb".into(),
        ];
        for name in goes.iter().chain(&stays) {
            fs::write(at(name), "x").unwrap();
        }
        let open = format!("temp-{ended}-8.rdb");
        let held = File::create(at(&open)).unwrap();
        let link = format!("temp-{ended}-9.rdb");
        std::os::unix::fs::symlink("dump.rdb", at(&link)).unwrap();
        let folder = format!("temp-{ended}-10.rdb");
        fs::create_dir(at(&folder)).unwrap();

        let clear = || {
            remove_in(directory.path(), &snapshot_writer::process_of);
            remove_in(directory.path(), &spool_file::process_of);
            remove_in(directory.path(), &|file| {
                config_file::process_of("redis.conf", file)
            });
        };
        // A child that another test starts just now holds what was open here until it runs its program.
        let gone = |name: &String| {
            clear();
            !at(name).exists()
        };
        for name in &goes {
            assert!((0..10_000).any(|_| gone(name)), "{name} is still there");
        }
        for name in stays.iter().chain([&open, &folder]) {
            assert!(at(name).exists(), "{name} is gone");
        }
        assert!(at(&link).is_symlink());
        drop(held);
        assert!((0..10_000).any(|_| gone(&open)));
        remove_in(&at("none"), &snapshot_writer::process_of);
    }

    /// The names are those that are given.
    #[test]
    fn our_own_names_tell_our_number() {
        let name =
            |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let own = Some(std::process::id());
        for number in [0, 12] {
            let path = snapshot_writer::temporary_path(Path::new("/d/dump.rdb"), number);
            assert_eq!(snapshot_writer::process_of(&name(path)), own);
        }
        assert_eq!(
            spool_file::process_of(&spool_file::segment_name(0xab, 3)),
            own
        );
        let path = config_file::temporary_path(Path::new("/d/a.conf"));
        assert_eq!(config_file::process_of("a.conf", &name(path)), own);
    }
}
