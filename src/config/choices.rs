//! Directives whose value is one of a few words (or a set of them), each as an enum of its own.

/// Defines an enum together with its words, in the order in which errors list them.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident default $default:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($variant),+ }

        impl Default for $name {
            fn default() -> Self { $name::$default }
        }

        impl $name {
            /// Every word, in the order in which errors list them.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word of this value, as the configuration writes it.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// The value of a word, whatever its case.
            pub fn from_word(word: &str) -> Option<$name> {
                $(if word.eq_ignore_ascii_case($word) { return Some($name::$variant); })+
                None
            }
        }
    };
}

choice! {
    /// `loglevel`, from the most to the least that is said.
    LogLevel default Notice {
        Debug = "debug", Verbose = "verbose", Notice = "notice", Warning = "warning", Nothing = "nothing",
    }
}

choice! {
    /// `maxmemory-policy`: what goes when memory is full.
    MaxmemoryPolicy default NoEviction {
        VolatileLru = "volatile-lru",
        VolatileLfu = "volatile-lfu",
        VolatileRandom = "volatile-random",
        VolatileTtl = "volatile-ttl",
        AllkeysLru = "allkeys-lru",
        AllkeysLfu = "allkeys-lfu",
        AllkeysRandom = "allkeys-random",
        NoEviction = "noeviction",
    }
}

impl MaxmemoryPolicy {
    /// Whether records keep access frequencies rather than access times.
    pub fn is_lfu(self) -> bool {
        matches!(
            self,
            MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu
        )
    }

    /// Whether eviction goes by access times.
    pub fn is_lru(self) -> bool {
        matches!(
            self,
            MaxmemoryPolicy::VolatileLru | MaxmemoryPolicy::AllkeysLru
        )
    }
}

choice! {
    /// `supervised`: who watches the process.
    Supervised default No {
        Upstart = "upstart", Systemd = "systemd", Auto = "auto", No = "no",
    }
}

choice! {
    /// `enable-debug-command` and its kin: for nobody, everybody, or connections from this machine.
    Protected default No { No = "no", Yes = "yes", Local = "local" }
}

/// `shutdown-on-sigint`, `shutdown-on-sigterm`: how the node shuts down on a signal; all false: default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownFlags {
    pub save: bool,
    pub nosave: bool,
    /// Do not wait for lagging replicas.
    pub now: bool,
    /// Shut down even if saving fails.
    pub force: bool,
}

impl ShutdownFlags {
    pub const WORDS: &'static [&'static str] = &["default", "save", "nosave", "now", "force"];

    /// From words in any order. `None`: one of them is unknown.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<ShutdownFlags> {
        let mut flags = ShutdownFlags::default();
        for word in words {
            match word.to_ascii_lowercase().as_str() {
                "default" => {}
                "save" => flags.save = true,
                "nosave" => flags.nosave = true,
                "now" => flags.now = true,
                "force" => flags.force = true,
                _ => return None,
            }
        }
        Some(flags)
    }

    /// The words, as CONFIG GET shows them.
    pub fn words(self) -> String {
        let set: Vec<&str> = [
            ("save", self.save),
            ("nosave", self.nosave),
            ("now", self.now),
            ("force", self.force),
        ]
        .iter()
        .filter_map(|&(word, on)| on.then_some(word))
        .collect();
        if set.is_empty() {
            "default".into()
        } else {
            set.join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for word in MaxmemoryPolicy::WORDS {
            assert_eq!(
                MaxmemoryPolicy::from_word(word).map(|p| p.word()),
                Some(*word)
            );
        }
        assert_eq!(LogLevel::from_word("VERBOSE"), Some(LogLevel::Verbose));
        assert_eq!(LogLevel::from_word("loud"), None);
    }

    #[test]
    fn shutdown_flags_are_a_set_of_words() {
        let flags = ShutdownFlags::from_words(["force", "NOSAVE"]);
        assert_eq!(
            flags.map(ShutdownFlags::words).as_deref(),
            Some("nosave force")
        );
        assert_eq!(ShutdownFlags::from_words(["later"]), None);
        assert_eq!(ShutdownFlags::default().words(), "default");
    }
}

choice! {
    /// `replica-on-stream-error`: what to do when a command of the master's stream fails here.
    OnStreamError default Stop {
        Stop = "stop", Resync = "resync", Ignore = "ignore",
    }
}

choice! {
    /// `replica-load-fallback`: what to do when the data of a full sync doesn't fit beside the old data.
    LoadFallback default Keep {
        Keep = "keep", Flush = "flush",
    }
}
