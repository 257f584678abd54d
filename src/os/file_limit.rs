//! How many files the process may have open: each client is one.

/// Files that are open besides the clients: listeners, dumps, logs, the runtime's own.
const OTHERS: u64 = 32;

/// The limit that `clients` need.
pub fn needed(clients: u32) -> u64 {
    u64::from(clients) + OTHERS
}

/// The limit as it is.
pub fn current() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: getrlimit writes to the struct it is given.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur
}

/// Raises the limit so that `clients` fit, as far as the system allows. How many clients fit then.
pub fn raise_for(clients: u32) -> u32 {
    let wanted = needed(clients);
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: getrlimit writes to the struct it is given, setrlimit only reads it.
    let allowed = unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return clients;
        }
        if limit.rlim_cur < wanted {
            let raised = libc::rlimit {
                rlim_cur: wanted,
                rlim_max: limit.rlim_max.max(wanted),
            };
            let capped = libc::rlimit {
                rlim_cur: wanted.min(limit.rlim_max),
                rlim_max: limit.rlim_max,
            };
            // Only root may raise the hard limit.
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raised) == 0 {
                limit = raised;
            } else if libc::setrlimit(libc::RLIMIT_NOFILE, &capped) == 0 {
                limit = capped;
            }
        }
        limit.rlim_cur
    };
    let fit = allowed.saturating_sub(OTHERS).min(u64::from(clients));
    // At most `clients`, which is a u32.
    fit as u32
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_few_clients_always_fit() {
        assert_eq!(super::raise_for(10), 10);
    }
}
