//! The command line: redis-server's, with `--check-config` besides.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use understudy::internals::config::lines::Origin;
use understudy::internals::config::{COMMAND_LINE, InvalidConfig, flags_to_lines};

/// What the arguments ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub config_file: Option<PathBuf>,
    /// More configuration on standard input.
    pub stdin: bool,
    /// The directives given as flags, a line each.
    pub flags: String,
    /// Only say whether the configuration is right.
    pub check: bool,
}

/// A Redis-compatible in-memory node whose heart is master-slave replication.
///
/// Every directive of the configuration is a flag as well, with redis-server's syntax:
/// understudy [FILE] [--directive value ...] [-]
#[derive(Debug, Parser)]
#[command(
    name = "understudy",
    version = VERSION,
    disable_version_flag = true,
    override_usage = "understudy [FILE] [--directive value ...] [-]\n       understudy --check-config [FILE] [--directive value ...] [-]\n       understudy compare HOST:PORT HOST:PORT (--help tells more)",
    after_help = EXAMPLES
)]
struct Arguments {
    /// Only say whether the configuration is right.
    #[arg(long)]
    check_config: bool,
    /// Show the version.
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    /// A configuration file (redis.conf form, or TOML if its name ends in .toml), directives as flags, and
    /// "-" first or last for more configuration on standard input.
    #[arg(
        value_name = "FILE, --directive value, -",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    rest: Vec<String>,
}

const VERSION: &str = concat!(
    "server v=",
    env!("CARGO_PKG_VERSION"),
    " redis=7.2.4 malloc=jemalloc bits=64"
);

const EXAMPLES: &str = "Examples:
  understudy                                    (run with the defaults)
  understudy config.toml
  understudy /etc/redis/redis.conf --port 7777
  understudy --port 7777 --replicaof 127.0.0.1 8888
  understudy --save '' --loglevel verbose
  echo 'maxmemory 1gb' | understudy -

Directives are listed in config.toml. UNDERSTUDY_<DIRECTIVE> in the environment counts
more than the file and less than a flag.";

/// Reads the arguments (without the program's name); `--help` and `--version` end the process.
pub fn parse(arguments: Vec<OsString>) -> Result<Request, InvalidConfig> {
    let (options, rest) = take_options(arguments);
    let program = std::iter::once("understudy".to_owned());
    let options = Arguments::parse_from(program.chain(options));
    request(options.check_config, rest)
}

/// What is no directive may stand anywhere; in short form only where a directive can't go on.
fn take_options(arguments: Vec<OsString>) -> (Vec<String>, Vec<OsString>) {
    let mut options = Vec::new();
    let mut rest: Vec<OsString> = Vec::new();
    for argument in arguments {
        let is_start = match rest.as_slice() {
            [] => true,
            [file] => !file.as_encoded_bytes().starts_with(b"-"),
            _ => false,
        };
        match argument.to_str() {
            Some(long @ ("--check-config" | "--help" | "--version")) => {
                options.push(long.to_owned());
            }
            Some(short @ ("-h" | "-v" | "-V")) if is_start => {
                options.push(short.to_ascii_lowercase());
            }
            _ => rest.push(argument),
        }
    }
    options.sort();
    options.dedup();
    (options, rest)
}

fn request(check: bool, mut rest: Vec<OsString>) -> Result<Request, InvalidConfig> {
    let mut request = Request {
        check,
        ..Request::default()
    };
    let is_file = |first: &OsString| !first.as_encoded_bytes().starts_with(b"-");
    if rest.first().is_some_and(is_file) {
        request.config_file = Some(PathBuf::from(rest.remove(0)));
    }
    let mut words = Vec::with_capacity(rest.len());
    for argument in rest {
        words.push(
            argument
                .into_string()
                .map_err(|argument| not_text(&argument))?,
        );
    }
    if words.first().is_some_and(|first| first == "-") {
        words.remove(0);
        request.stdin = true;
    } else if words.last().is_some_and(|last| last == "-") {
        words.pop();
        request.stdin = true;
    }
    request.flags = flags_to_lines(&words);
    Ok(request)
}

/// An argument in another encoding: it is not shown, since it may be a password.
fn not_text(argument: &OsString) -> InvalidConfig {
    let origin = Origin {
        source: COMMAND_LINE.to_owned(),
        ..Origin::default()
    };
    let what = format!("an argument of {} bytes is not UTF-8 text", argument.len());
    InvalidConfig::new(&origin, what, "give it in UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Request {
        let (options, rest) = take_options(arguments.iter().map(OsString::from).collect());
        let program = std::iter::once("understudy".to_owned());
        let options = Arguments::try_parse_from(program.chain(options));
        let options = options.unwrap_or_else(|e| panic!("{e}"));
        request(options.check_config, rest).unwrap()
    }

    #[test]
    fn file_flags_and_standard_input() {
        assert_eq!(parsed(&[]), Request::default());
        let all = parsed(&["redis.conf", "--port", "7000", "--save", "", "-"]);
        assert_eq!(all.config_file, Some(PathBuf::from("redis.conf")));
        assert!(all.stdin && !all.check);
        assert_eq!(all.flags, "port \"7000\" \nsave \"\" ");
        let flags = parsed(&["--replicaof", "127.0.0.1 6379", "--version-like", "-v"]);
        assert_eq!(flags.config_file, None);
        assert_eq!(
            flags.flags,
            "replicaof \"127.0.0.1 6379\" \nversion-like \"-v\" "
        );
        assert!(parsed(&["-", "--port", "1"]).stdin);
        let check = parsed(&["--check-config", "config.toml", "--port", "1"]);
        assert!(check.check);
        assert_eq!(check.config_file, Some(PathBuf::from("config.toml")));
    }
    #[test]
    fn options_stand_anywhere() {
        for arguments in [
            &["--check-config", "a.conf", "--port", "1"][..],
            &["a.conf", "--check-config", "--port", "1"],
            &["a.conf", "--port", "--check-config", "1"],
            &["--check-config", "a.conf", "--port", "1", "--check-config"],
        ] {
            let checked = parsed(arguments);
            assert!(checked.check, "{arguments:?}");
            assert_eq!(checked.config_file, Some(PathBuf::from("a.conf")));
            assert_eq!(checked.flags, "port \"1\" ");
        }
        let taken = |arguments: &[&str]| {
            let (options, _) = take_options(arguments.iter().map(OsString::from).collect());
            options.join(" ")
        };
        assert_eq!(taken(&["a.conf", "--port", "1", "--help"]), "--help");
        assert_eq!(taken(&["--port", "1", "--version"]), "--version");
        assert_eq!(taken(&["a.conf", "-h"]), "-h");
        assert_eq!(taken(&["-v"]), "-v");
        // A value.
        assert_eq!(taken(&["--bind", "-h"]), "");
    }

    #[test]
    fn arguments_in_another_encoding_are_mistakes_but_for_the_file() {
        use std::os::unix::ffi::OsStringExt;
        let latin = || OsString::from_vec(b"p\xe9".to_vec());
        let file = request(false, vec![latin()]).unwrap();
        assert_eq!(file.config_file, Some(PathBuf::from(latin())));
        let mistake = request(false, vec!["--requirepass".into(), latin()]).unwrap_err();
        assert!(
            mistake
                .to_string()
                .contains("command line: an argument of 2 bytes is not UTF-8")
        );
    }
}
