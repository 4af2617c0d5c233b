//! What becomes of a connection whose frames are lost, in virtual time.
//!
//! `cargo test -p tessera-net --test recovery -- --nocapture` prints the figures.

mod link;
#[path = "../support/tokens.rs"]
mod tokens;

use link::{DELAY, Line, Trouble};
use smoltcp::time::Duration;
use std::thread;

/// What goes from one end to the other.
const FILE: usize = 1 << 20;

/// How often each line is tried.
const SEEDS: u64 = 50;

/// What a segment has room for, and what needs one.
const SEGMENT: usize = 1440;
const LITTLE: usize = 1000;

/// There and back.
const ROUND_TRIP: Duration = Duration::from_micros(2 * DELAY.total_micros());

/// The shortest time after which what was lost is sent again because nothing is heard of it.
const TIMEOUT: Duration = Duration::from_millis(200);

/// A byte of what is sent.
fn byte(at: usize) -> u8 {
    (at.wrapping_mul(0x9e37_79b1) >> 16) as u8
}

/// Sends so many bytes across, until the other end has all of them and the sender knows;
/// with the end of the connection if it is to end. How long that took, if it was not given
/// up before.
fn send(line: &mut Line, bytes: usize, end: bool) -> Option<Duration> {
    let began = line.now();
    let (mut written, mut read, mut confirmed, mut ended) = (0, 0, false, false);
    loop {
        line.act(
            &mut |socket| {
                while written < bytes && socket.can_send() {
                    let room = socket.send_capacity() - socket.send_queue();
                    let piece: Vec<_> = (written..bytes).take(room).map(byte).collect();
                    written += socket.send_slice(&piece).unwrap();
                }
                if end && written == bytes && socket.may_send() {
                    socket.close();
                }
                confirmed = written == bytes && socket.send_queue() == 0;
            },
            &mut |socket| {
                while socket.can_recv() {
                    let received = socket.recv(|bytes| {
                        let right = (read..).zip(&*bytes).all(|(at, is)| byte(at) == *is);
                        assert!(right, "other bytes than were sent");
                        (bytes.len(), bytes.len())
                    });
                    read += received.unwrap();
                }
                ended = !socket.may_recv();
            },
        );
        if read == bytes && confirmed && ended == end {
            return Some(line.now() - began);
        }
        if line.given_up() {
            return None;
        }
        line.advance();
    }
}

/// How files fare on lines with the same trouble.
struct Fared {
    median: Duration,
    worst: Duration,
    given_up: usize,
}

impl Fared {
    fn on(trouble: Trouble) -> Fared {
        let mut frames = 0;
        let took = (1..=SEEDS).map(|seed| {
            let mut line = Line::connected(seed);
            line.set_trouble(trouble);
            let took = send(&mut line, FILE, true);
            frames += line.sent();
            took
        });
        let took: Vec<_> = took.collect();
        let given_up = took.iter().filter(|took| took.is_none()).count();
        // Those that were given up would have taken longest.
        let mut took: Vec<_> = took
            .into_iter()
            .map(|took| took.unwrap_or(Duration::MAX))
            .collect();
        took.sort();
        let fared = Fared {
            median: took[took.len() / 2],
            worst: took[took.len() - 1],
            given_up,
        };
        let seconds = |time: Duration| match time {
            Duration::MAX => "never".into(),
            time => format!("{:.3} s", time.total_micros() as f64 / 1e6),
        };
        println!(
            "of 1,000 frames {:3} lost, {:2} doubled, {:2} late, {:3} without room: median {:>9}, worst {:>9}, \
             {:4} frames, {given_up:2} of {SEEDS} given up",
            trouble.lost,
            trouble.doubled,
            trouble.late,
            trouble.full,
            seconds(fared.median),
            seconds(fared.worst),
            frames / SEEDS
        );
        fared
    }
}

#[test]
fn a_file_goes_across_a_line_that_loses() {
    let losing = |percent: u64| Trouble {
        lost: percent * 10,
        ..Trouble::default()
    };
    let also = |percent, doubled, late, full| Trouble {
        doubled,
        late,
        full,
        ..losing(percent)
    };
    // The median and the worst may take so many seconds.
    let lines = [
        (losing(0), 0.5, 0.5),
        (losing(1), 1.2, 2.0),
        (losing(2), 2.0, 3.5),
        (losing(5), 5.0, 10.0),
        (losing(10), 20.0, 40.0),
        (losing(20), 120.0, 200.0),
        (also(0, 30, 30, 0), 1.5, 3.0),
        (also(5, 30, 30, 0), 5.0, 10.0),
        (also(2, 0, 0, 300), 2.5, 4.0),
    ];
    thread::scope(|scope| {
        for (trouble, median, worst) in lines {
            scope.spawn(move || {
                let fared = Fared::on(trouble);
                let within = |time: Duration, bound: f64| time.total_micros() as f64 <= bound * 1e6;
                assert_eq!(fared.given_up, 0, "{trouble:?}");
                assert!(within(fared.median, median), "{trouble:?}");
                assert!(within(fared.worst, worst), "{trouble:?}");
            });
        }
    });
}

#[test]
fn several_losses_in_a_window_need_no_timeout() {
    // The next one is sent again when the one before has arrived.
    for pattern in ["x", "x.x", "xx", "x.x..x.x"] {
        let took = [pattern, ""].map(|pattern| {
            let mut line = Line::connected(1);
            send(&mut line, FILE / 4, false).unwrap();
            line.lose(pattern);
            send(&mut line, FILE / 4, false).unwrap()
        });
        let longer = took[0] - took[1];
        assert!(longer < TIMEOUT, "{pattern}: {longer}");
    }
}

#[test]
fn a_loss_in_a_small_window_needs_no_timeout() {
    // One duplicate acknowledgement tells of it, or two do.
    for segments in 2..=4 {
        let mut line = Line::connected(1);
        send(&mut line, FILE / 4, false).unwrap();
        line.lose("x");
        let took = send(&mut line, segments * SEGMENT, false).unwrap();
        assert!(took < TIMEOUT, "{segments} segments: {took}");
    }
}

#[test]
fn a_timeout_is_forgotten_when_something_arrives() {
    let mut line = Line::connected(1);
    send(&mut line, LITTLE, false).unwrap();
    // It is a bit more than that after the round trip.
    let within = |timeouts: u32| (TIMEOUT + ROUND_TRIP * 4) * timeouts;
    // After one, after two, after four.
    line.lose("xxx");
    let first = send(&mut line, LITTLE, false).unwrap();
    assert!(first < within(1 + 2 + 4), "{first}");
    line.lose("x");
    let second = send(&mut line, LITTLE, false).unwrap();
    assert!(second < within(1), "{second}");
}

#[test]
fn a_line_that_has_become_slow_is_learnt() {
    let mut line = Line::connected(1);
    send(&mut line, FILE / 4, false).unwrap();
    // Much slower than any timeout was.
    line.set_delay(Duration::from_millis(500));
    send(&mut line, FILE / 2, false).unwrap();
    // Now nothing is sent twice: at most a frame for each segment, and one back.
    let before = line.sent();
    send(&mut line, FILE, false).unwrap();
    let (sent, least) = (line.sent() - before, FILE.div_ceil(SEGMENT) as u64);
    assert!(sent <= least * 2, "{sent} frames for {least}");
}
