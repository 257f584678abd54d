//! The configuration on disk: reading it with what it includes, and writing it back. The sole place that
//! touches these files; what they mean is `config`'s business.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::config::layers::is_variable;
use crate::config::lines::Origin;
use crate::config::rewrite::Target;
use crate::config::{
    ENVIRONMENT, Form, InvalidConfig, Layers, Loaded, Settings, StartSettings, hints, load, rewrite,
};
use crate::may_block::may_block_here;
use crate::os::process_number::process_number;

/// Longest configuration text that is read, bytes.
const TEXT_MAX: u64 = 64 << 20;

/// The file that CONFIG REWRITE writes, and how the node began.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    /// What names of included files are relative to: the working directory when the file was read.
    pub(crate) directory: PathBuf,
    pub(crate) at_start: StartSettings,
}

/// Reads all layers: the file, standard input if asked for, the process's environment, and the flags (lines
/// in redis.conf form, see `crate::config::flags_to_lines`). Relative names in the file are relative to
/// the working directory, as for redis-server.
pub fn read(file: Option<&Path>, stdin: bool, flags: &str) -> Result<Loaded, InvalidConfig> {
    let name = file
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let unreadable = |source: &str, error: &io::Error, fix: String| {
        let origin = Origin {
            source: source.to_owned(),
            ..Origin::default()
        };
        let what = format!("can't read it: {}", system_text(error));
        InvalidConfig::new(&origin, what, fix)
    };
    let form = Form::of(&name);
    let text = match file {
        Some(path) => {
            let bytes = read_bytes(File::open(path));
            let given = path.file_name().unwrap_or_default().to_string_lossy();
            let bytes =
                bytes.map_err(|error| unreadable(&name, &error, hints::for_file(&given)))?;
            form.decode(&name, &bytes)?
        }
        None => String::new(),
    };
    let from_stdin = match stdin {
        true => {
            let source = "standard input";
            let bytes = read_bytes(Ok(io::stdin()));
            let bytes = bytes.map_err(|error| unreadable(source, &error, String::new()))?;
            Some(Form::RedisConf.decode(source, &bytes)?)
        }
        false => None,
    };
    load(Layers {
        file: file.map(|_| (form, name.as_str(), text.as_str())),
        stdin: from_stdin.as_deref(),
        environment: environment()?,
        flags,
        includes: &|pattern| included(Path::new(""), pattern),
    })
}

/// The process's variables. One of ours that is not text is a mistake: passed over, it might be the password.
fn environment() -> Result<HashMap<String, String>, InvalidConfig> {
    let mut variables = HashMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else {
            continue;
        };
        match value.into_string() {
            Ok(value) => {
                variables.insert(name, value);
            }
            Err(_) if is_variable(&name) => {
                let origin = Origin {
                    source: ENVIRONMENT.to_owned(),
                    line: 0,
                    text: name,
                };
                let fix = "give it a value in UTF-8";
                return Err(InvalidConfig::new(
                    &origin,
                    "the value is not UTF-8 text",
                    fix,
                ));
            }
            Err(_) => {}
        }
    }
    Ok(variables)
}

/// CONFIG REWRITE: puts the settings into the file's text and replaces the file in one step, unless it says
/// all of them already. The error is the system's word for it.
pub(crate) fn write_back(file: &ConfigFile, settings: &Settings) -> Result<(), String> {
    may_block_here();
    // What a symbolic link leads to is written, and the link stays.
    let path = fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
    let old = match read_bytes(File::open(&path)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(system_text(&error)),
    };
    let name = file.path.display().to_string();
    let target = Target {
        form: Form::of(&name),
        name: &name,
        includes: &|pattern| included(&file.directory, pattern),
    };
    let new = rewrite(&target, &old, settings, &file.at_start)?;
    if new == old && path.exists() {
        return Ok(());
    }
    replace(&path, &new).map_err(|error| system_text(&error))
}

/// Where a configuration on its way to `path` is.
pub(crate) fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".understudy-{}.new", std::process::id()));
    path.with_file_name(name)
}

/// The process that writes `file`, if that is a name that [`temporary_path`] gives to `config`.
pub(crate) fn process_of(config: &str, file: &str) -> Option<u32> {
    let behind = file.strip_prefix(config)?.strip_prefix(".understudy-")?;
    process_number(behind.strip_suffix(".new")?)
}

/// Writes beside the file, forces it to disk, then renames, so that a crash leaves the old or the new text.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let beside = temporary_path(path);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(text)?;
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(directory)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn read_bytes(from: io::Result<impl Read>) -> io::Result<Vec<u8>> {
    may_block_here();
    let mut bytes = Vec::new();
    from?.take(TEXT_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > TEXT_MAX {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

/// The files that an `include` names, relative to `directory`: a pattern may fit none, a plain name must be
/// there.
fn included(directory: &Path, pattern: &str) -> Result<Vec<(String, String)>, String> {
    let paths = match pattern.contains(['*', '?', '[']) {
        true => expand(directory, pattern),
        false => vec![directory.join(pattern)],
    };
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let name = path.display().to_string();
        let bytes = read_bytes(File::open(&path))
            .map_err(|error| format!("can't open config file '{name}': {}", system_text(&error)))?;
        let text = Form::of(&name).decode(&name, &bytes);
        files.push((name, text.map_err(|mistake| mistake.to_string())?));
    }
    Ok(files)
}

/// The paths that fit a pattern, in order of their names. A star doesn't cross directories, and hidden files
/// want their dot spelled out.
fn expand(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let start = match pattern.starts_with('/') {
        true => Path::new("/"),
        false => directory,
    };
    let mut found = vec![start.to_owned()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if !part.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        found = found
            .iter()
            .flat_map(|directory| matching(directory, part))
            .collect();
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

fn matching(directory: &Path, part: &str) -> Vec<PathBuf> {
    may_block_here();
    let listed = match directory.as_os_str().is_empty() {
        true => fs::read_dir("."),
        false => fs::read_dir(directory),
    };
    let fits = |name: &str| {
        (!name.starts_with('.') || part.starts_with('.'))
            && crate::text::glob::matches(part.as_bytes(), name.as_bytes(), false)
    };
    listed
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(fits))
        .map(|entry| directory.join(entry.file_name()))
        .collect()
}

/// A directory's absolute name, or the system's word for why it can't be one.
pub fn absolute_directory(base: Option<&str>, directory: &str) -> Result<String, String> {
    may_block_here();
    let path = match base {
        Some(base) => Path::new(base).join(directory),
        None => PathBuf::from(directory),
    };
    let path = fs::canonicalize(path).map_err(|error| system_text(&error))?;
    fs::read_dir(&path).map_err(|error| system_text(&error))?;
    Ok(path.display().to_string())
}

/// `repl-spool-dir`, absolute (from `dir` on, if it isn't), or the system's word for why no spool can be there.
/// None: the spool is in `dir`.
pub fn spool_directory(settings: &Settings) -> Result<Option<String>, String> {
    let Some(given) = settings.repl_spool_dir.as_deref().filter(|d| !d.is_empty()) else {
        return Ok(None);
    };
    let directory = absolute_directory(settings.dir.as_deref(), given)?;
    match is_writable(Path::new(&directory)) {
        Ok(()) => Ok(Some(directory)),
        Err(error) => Err(system_text(&error)),
    }
}

/// Whether files can be made in that directory.
fn is_writable(directory: &Path) -> io::Result<()> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    // SAFETY: access only reads the string, which ends in a zero byte and lives until it returns.
    match unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// An error as the system words it, without its number.
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_needs_a_directory_that_takes_files() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir(base.join("spool")).unwrap();
        fs::write(base.join("file"), "").unwrap();
        let spool = |given: &str| {
            spool_directory(&Settings {
                dir: Some(base.display().to_string()),
                repl_spool_dir: Some(given.to_owned()),
                ..Settings::default()
            })
        };
        let absolute = base.join("spool").display().to_string();
        assert_eq!(spool("spool"), Ok(Some(absolute.clone())));
        assert_eq!(spool(&absolute), Ok(Some(absolute)));
        assert_eq!(spool(""), Ok(None));
        assert_eq!(spool("none"), Err("No such file or directory".into()));
        assert_eq!(spool("file"), Err("Not a directory".into()));
        // Where even the superuser can't make a file.
        assert!(spool("/proc/self").is_err());
    }

    #[test]
    fn reads_what_is_included_and_writes_back() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("redis.conf");
        let parts = dir.path().join("conf.d");
        fs::create_dir(&parts).unwrap();
        fs::write(parts.join("b.conf"), "timeout 2\n").unwrap();
        fs::write(parts.join("a.conf"), "timeout 1\nhz 20\n").unwrap();
        fs::write(parts.join(".hidden.conf"), "timeout 9\n").unwrap();
        let text = format!(
            "# head\nport 7000\ninclude {}/*.conf\ninclude {}/none*\n",
            parts.display(),
            parts.display()
        );
        fs::write(&main, &text).unwrap();

        let configured = read(Some(&main), false, "").unwrap().settings;
        let mut settings = configured.clone();
        assert_eq!(
            (settings.port, settings.timeout, settings.hz),
            (7000, 2, 20)
        );
        settings.port = 7001;
        let file = ConfigFile {
            path: main.clone(),
            directory: dir.path().to_owned(),
            at_start: StartSettings {
                effective: configured.clone(),
                configured,
            },
        };
        write_back(&file, &settings).unwrap();
        let new = fs::read_to_string(&main).unwrap();
        assert_eq!(new, text.replace("7000", "7001"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        // An included file has the last word, unless it is overruled behind it.
        settings.timeout = 5;
        write_back(&file, &settings).unwrap();
        let new = fs::read_to_string(&main).unwrap();
        assert!(new.ends_with("CONFIG REWRITE\ntimeout 5\n"), "{new}");
        assert_eq!(read(Some(&main), false, "").unwrap().settings.timeout, 5);

        let missing = read(Some(&dir.path().join("none.conf")), false, "");
        let text = missing.map(|_| ()).unwrap_err().to_string();
        assert!(
            text.contains("none.conf: can't read it: No such file or directory"),
            "{text}"
        );
        fs::write(&main, "include nowhere.conf\n").unwrap();
        let missing = read(Some(&main), false, "")
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("line 1") && missing.contains("'nowhere.conf': No such"),
            "{missing}"
        );
    }

    #[test]
    fn directories_are_absolute_and_there() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap().display().to_string();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(
            absolute_directory(Some(&base), "sub"),
            Ok(format!("{base}/sub"))
        );
        assert_eq!(
            absolute_directory(Some(&base), "none"),
            Err("No such file or directory".into())
        );
        assert_eq!(
            absolute_directory(Some(&base), "file"),
            Err("Not a directory".into())
        );
    }
}
