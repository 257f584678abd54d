//! Hand-made synchronisation, run by `loom` through every order of steps that threads and memory allow: nobody is
//! inside with another, no wake is lost (a task that nobody wakes is a deadlock, which loom reports), nothing that
//! was handed over is missed.
//!
//! Only with the feature `model`, and nothing else of the crate works then: see the README, Tests.

use std::future::poll_fn;
use std::io::Read;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::actors::snapshots::feed::SharedFeed;
use crate::background::pipe::pipe;
use crate::clients::client::Client;
use crate::keyspace::{Keyspace, ShardSet};
use crate::repl::Next;
use crate::repl::burst::Burst;
use crate::session::Ticket;

/// Checks all orders in which at most so many times a thread is put aside that could go on: nearly all faults need
/// two or three.
fn check(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(f);
}

#[test]
fn a_burst_loses_no_wake_and_shows_what_was_done_before() {
    check(3, || {
        let burst = Arc::new(Burst::default());
        let written = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let (burst, written) = (burst.clone(), written.clone());
                thread::spawn(move || {
                    written.fetch_add(1, Ordering::Relaxed);
                    burst.wake();
                })
            })
            .collect();
        block_on(poll_fn(|cx| {
            while burst.poll(cx).is_ready() {
                if written.load(Ordering::Relaxed) == 2 {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        }));
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

/// What stands inside the shards; loom reports two threads at it at once.
struct Inside(UnsafeCell<u32>);

// SAFETY: it is used inside a shard only, which is what is checked.
unsafe impl Sync for Inside {}
// SAFETY: likewise.
unsafe impl Send for Inside {}

impl Inside {
    fn change(&self) {
        // SAFETY: if the locks hold, nobody else is here; loom says so if not.
        self.0.with_mut(|n| unsafe { *n += 1 });
    }
}

/// Enters as a connection does.
fn enter_as_a_task(keyspace: &Keyspace, set: ShardSet, inside: &Inside) {
    block_on(poll_fn(|cx| {
        keyspace.poll_enter(set, cx).map(|entered| {
            inside.change();
            drop(entered);
        })
    }));
}

#[test]
fn who_waits_for_a_shard_is_woken_and_alone_inside() {
    check(3, || {
        let keyspace = Arc::new(Keyspace::new(1, 1, 7));
        let inside = Arc::new(Inside(UnsafeCell::new(0)));
        let (there, it) = (keyspace.clone(), inside.clone());
        let other = thread::spawn(move || enter_as_a_task(&there, there.all(), &it));
        enter_as_a_task(&keyspace, keyspace.all(), &inside);
        other.join().unwrap();
        drop(keyspace.try_enter(keyspace.all()).expect("all have left"));
    });
}

#[test]
fn sets_of_shards_are_left_to_who_waits_for_one_of_them() {
    check(2, || {
        let keyspace = Arc::new(Keyspace::new(2, 1, 7));
        let inside = Arc::new(Inside(UnsafeCell::new(0)));
        let (there, it) = (keyspace.clone(), inside.clone());
        let other = thread::spawn(move || {
            // As a thread that may block.
            let entered = there.enter(there.all());
            it.change();
            drop(entered);
        });
        enter_as_a_task(&keyspace, ShardSet::one(1), &inside);
        other.join().unwrap();
    });
}

#[test]
fn a_pipe_hands_over_all_and_wakes_its_writer() {
    check(3, || {
        let (writer, mut reader) = pipe(1);
        let other = thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        for part in [b"a", b"b"] {
            block_on(poll_fn(|cx| match writer.has_room(cx.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }));
            writer.push(Bytes::from_static(part));
        }
        writer.close(Ok(()));
        assert_eq!(other.join().unwrap().unwrap(), b"ab");
    });
}

#[test]
fn a_pipe_whose_reader_goes_lets_its_writer_go_on() {
    check(3, || {
        let (writer, reader) = pipe(1);
        let other = thread::spawn(move || drop(reader));
        for _ in 0..2 {
            block_on(poll_fn(|cx| match writer.has_room(cx.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }));
            writer.push(Bytes::from_static(b"a"));
        }
        other.join().unwrap();
    });
}

#[test]
fn a_pipe_whose_writer_goes_ends_its_reader_with_an_error() {
    check(3, || {
        let (writer, mut reader) = pipe(10);
        let other = thread::spawn(move || reader.read_to_end(&mut Vec::new()).is_err());
        writer.push(Bytes::from_static(b"a"));
        drop(writer);
        assert!(other.join().unwrap());
    });
}

#[test]
fn a_feed_wakes_taker_and_producer() {
    /// As much as a feed holds in memory.
    static CHUNK: [u8; 1 << 20] = [7; 1 << 20];
    check(2, || {
        let feed = SharedFeed::new(Arc::default(), None);
        assert!(feed.join(1));
        let there = feed.clone();
        let producer = thread::spawn(move || {
            for _ in 0..2 {
                block_on(poll_fn(|cx| match there.has_room(cx.waker()) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }));
                there.push(Bytes::from_static(&CHUNK));
            }
            there.end();
        });
        let mut position = 0;
        block_on(poll_fn(|cx| {
            loop {
                match feed.next(1, position, CHUNK.len(), cx.waker()) {
                    Next::Bytes(_, next) => position = next,
                    Next::Wait => return Poll::Pending,
                    Next::End => return Poll::Ready(()),
                    other => panic!("{other:?}"),
                }
            }
        }));
        assert_eq!(position, 2 * CHUNK.len() as u64);
        producer.join().unwrap();
    });
}

#[test]
fn a_ticket_is_answered_once_and_its_owner_is_woken() {
    check(3, || {
        let client = Client::new(1, String::new(), String::new(), 0);
        let ticket = Ticket::new(client.clone(), Default::default(), false);
        let answers = [b"+A\r\n", b"+B\r\n"].map(|reply| {
            let ticket = ticket.clone();
            thread::spawn(move || ticket.complete(reply))
        });
        let mut output = Vec::new();
        block_on(poll_fn(|cx| {
            output.extend_from_slice(&client.take_output(cx.waker()).into_bytes());
            match ticket.is_done() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }));
        output.extend_from_slice(&client.take_output(std::task::Waker::noop()).into_bytes());
        let won = answers.map(|answer| answer.join().unwrap());
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let expected: &[u8] = if won[0] { b"+A\r\n" } else { b"+B\r\n" };
        assert_eq!(output, expected);
    });
}

#[test]
fn a_client_that_is_killed_hears_of_it() {
    check(3, || {
        let client = Client::new(1, String::new(), String::new(), 0);
        let there = client.clone();
        let killer = thread::spawn(move || there.kill());
        block_on(poll_fn(|cx| {
            let _ = client.take_output(cx.waker());
            match client.killed.load(std::sync::atomic::Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }));
        killer.join().unwrap();
    });
}
