//! `understudy compare`: do two servers hold the same?

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use understudy::internals::node::compare::{Compared, Options, compare};

/// Lines that are printed at most.
const SHOWN_MAX: usize = 1000;

/// Compares what two servers hold, by following both as a replica.
///
/// Any servers that speak PSYNC: Redis, Valkey, understudy. Where they share a history (a master and its replica) they are
/// compared at one offset of it; else when nothing has been written to either for two seconds. Both datasets are loaded into
/// memory. Exit code: 0 equal, 1 different, 2 could not tell.
#[derive(Debug, Parser)]
#[command(name = "understudy compare", disable_version_flag = true)]
struct Arguments {
    /// The servers.
    #[arg(value_name = "HOST:PORT", num_args = 2, required = true)]
    servers: Vec<String>,
    /// User to log in with at both; none: the default user.
    #[arg(long)]
    user: Option<String>,
    /// Password to log in with at both; the environment's REDISCLI_AUTH if it is not given.
    #[arg(long)]
    password: Option<String>,
    /// Seconds until both must have been loaded and stand still.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// Compare only keys that begin so.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Compare only about one key of so many.
    #[arg(long, default_value_t = 1)]
    sample: u64,
}

/// Whether the arguments (without the program's name) ask for it.
pub fn is_asked(arguments: &[std::ffi::OsString]) -> bool {
    arguments.first().is_some_and(|first| first == "compare")
}

pub fn run(arguments: Vec<std::ffi::OsString>) -> ExitCode {
    let arguments = Arguments::parse_from(arguments);
    let mut servers = Vec::new();
    for server in &arguments.servers {
        let parts = server.rsplit_once(':');
        let Some((host, Ok(port))) = parts.map(|(host, port)| (host, port.parse::<u16>())) else {
            eprintln!("{server} is not HOST:PORT");
            return ExitCode::from(2);
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        servers.push((host.to_owned(), port));
    }
    let Ok(servers) = <[(String, u16); 2]>::try_from(servers) else {
        eprintln!("two servers are to be compared");
        return ExitCode::from(2);
    };
    let password = arguments
        .password
        .or_else(|| std::env::var("REDISCLI_AUTH").ok());
    let compared = compare(&Options {
        servers,
        user: arguments.user,
        password,
        timeout: Duration::from_secs(arguments.timeout),
        prefix: arguments.prefix.into_bytes(),
        sample: arguments.sample,
    });
    match compared {
        Compared::Equal { keys, offset } => {
            match offset {
                Some(offset) => println!("equal: {keys} keys, at offset {offset}"),
                None => println!("equal: {keys} keys, at rest (the servers share no history)"),
            }
            ExitCode::SUCCESS
        }
        Compared::Different {
            lines,
            count,
            at_least,
        } => {
            lines
                .iter()
                .take(SHOWN_MAX)
                .for_each(|line| println!("{line}"));
            let least = if at_least { "at least " } else { "" };
            println!("different: {least}{count} keys");
            ExitCode::from(1)
        }
        Compared::Unknown(why) => {
            eprintln!("could not tell: {why}");
            ExitCode::from(2)
        }
    }
}
