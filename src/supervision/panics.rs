//! Catching panics, and logging them where they happen.

use std::any::Any;
use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use super::arbiters;

/// Frames of a backtrace that are logged, at most.
const FRAMES_MAX: usize = 60;

/// Has every panic of the process logged with its place, its backtrace and what was being done. `before` is called
/// first, by the thread that panics. For a process that is the server; a host of embedded nodes may call it, or keep its
/// own hook.
pub fn log_panics(before: fn()) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(move |panic| {
            before();
            log(panic);
        }));
    });
}

fn log(panic: &PanicHookInfo<'_>) {
    let message = text_of(panic.payload());
    let place = panic.location().map(ToString::to_string);
    let place = place.unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let doing = arbiters::doing();
    tracing::error!("=== PANIC in thread '{thread}' at {place}: {message} ({doing})");
    for frame in frames(&Backtrace::force_capture().to_string()) {
        tracing::error!("    {frame}");
    }
}

/// A backtrace's frames, a line each, without those of the standard library and of other crates.
fn frames(backtrace: &str) -> Vec<String> {
    let mut frames: Vec<String> = Vec::new();
    for line in backtrace.lines() {
        let line = line.trim();
        match (line.strip_prefix("at "), frames.last_mut()) {
            (Some(place), Some(frame)) => {
                *frame += " at ";
                *frame += place;
            }
            _ => frames.push(line.into()),
        }
    }
    frames.retain(|frame| !frame.contains("/rustc/") && !frame.contains("/registry/"));
    frames.truncate(FRAMES_MAX);
    frames
}

/// Runs `f`; a panic of it comes back as its message. What `f` was changing must not be used after that but to be
/// given back.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = text_of(&*payload);
        // A payload whose drop panics would end the process.
        std::mem::forget(payload);
        text
    })
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).into()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_ours_and_a_line_each() {
        let backtrace = "   0: std::panicking\n             at /rustc/1/library/std/src/panicking.rs:689:5\n   \
                         1: poll\n             at /home/.cargo/registry/src/tokio-1/src/local.rs:1:2\n   \
                         2: understudy::run\n             at ./src/run.rs:3:4\n   3: main\n";
        assert_eq!(
            frames(backtrace),
            ["2: understudy::run at ./src/run.rs:3:4", "3: main"]
        );
    }

    #[test]
    fn a_panic_comes_back_as_its_message() {
        assert_eq!(catch(|| 7), Ok(7));
        let n = 3;
        assert_eq!(
            catch(|| panic!("{n} wheels")),
            Err::<(), _>("3 wheels".into())
        );
        let odd = catch(|| std::panic::panic_any(7_u8));
        assert_eq!(odd, Err::<(), _>("no message".into()));
    }
}
