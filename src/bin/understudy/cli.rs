//! The command line: redis-server's, with `--check-config` besides.

use std::path::PathBuf;

use clap::Parser;
use understudy::config::flags_to_lines;

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
    override_usage = "understudy [FILE] [--directive value ...] [-]\n       understudy --check-config [FILE] [--directive value ...]",
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
pub fn parse(arguments: Vec<String>) -> Request {
    // clap would take "--" as its own; redis-server knows no such thing.
    let program = std::iter::once("understudy".to_owned());
    request(Arguments::parse_from(program.chain(arguments)))
}

fn request(arguments: Arguments) -> Request {
    let mut rest = arguments.rest;
    let mut request = Request {
        check: arguments.check_config,
        ..Request::default()
    };
    if rest.first().is_some_and(|first| !first.starts_with('-')) {
        request.config_file = Some(PathBuf::from(rest.remove(0)));
    }
    if rest.first().is_some_and(|first| first == "-") {
        rest.remove(0);
        request.stdin = true;
    } else if rest.last().is_some_and(|last| last == "-") {
        rest.pop();
        request.stdin = true;
    }
    request.flags = flags_to_lines(&rest);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Request {
        let all = std::iter::once("understudy").chain(arguments.iter().copied());
        request(Arguments::try_parse_from(all).unwrap_or_else(|e| panic!("{e}")))
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
}
