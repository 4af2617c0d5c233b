//! A segment of Ethernet between machines: what one of them sends reaches all others,
//! unless the segment is told to make trouble.
//!
//! QEMU's machines have datagram sockets with paths of their own. The hub has one for
//! each of them to send to, so it knows who sends, and a thread for each that receives;
//! one more thread sends what is due.
//!
//! ```text
//! mod      the segment: sockets and threads
//! trouble  what is lost, doubled, late, out of order, changed or cut off
//! queue    what is on its way
//! packet   what a frame carries
//! ```

mod packet;
mod queue;
mod trouble;

pub use packet::carried;
pub use trouble::{Percent, Range, Trouble};

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::machine::{Mac, Network};
use queue::{Frame, Queue};
use trouble::Dice;

/// Most bytes of a frame.
const FRAME: usize = 65536;

/// Frames that are kept, to be looked at and said again: the latest.
const KEPT: usize = 1 << 14;

/// How long a machine that takes nothing is waited for before a frame is lost.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(1);

/// The same of frames that are said again: if it takes nothing then, it hangs.
const REPLAY_PATIENCE: Duration = Duration::from_secs(10);

/// How often the threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(100);

/// A segment and the machines on it. It ends when it is dropped.
pub struct Hub {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    folder: PathBuf,
    /// Where each machine sends.
    sockets: Vec<UnixDatagram>,
    trouble: Mutex<Trouble>,
    counters: Mutex<Counters>,
    heard: Mutex<VecDeque<Heard>>,
    queue: Queue,
}

/// A frame as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The machine that sent it.
    pub from: usize,
    /// The frame.
    pub bytes: Box<[u8]>,
}

/// What has become of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Machines have sent so many.
    pub sent: u64,
    /// So many have reached one machine.
    pub arrived: u64,
    /// So many were lost on purpose, or because of a partition.
    pub lost: u64,
    /// So many found a machine that took nothing.
    pub refused: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters {
            sent,
            arrived,
            lost,
            refused,
        } = self;
        write!(
            f,
            "{sent} frames sent, {arrived} arrived, {lost} lost, {refused} refused by a machine"
        )
    }
}

impl Hub {
    /// A segment for so many machines.
    pub fn new(machines: usize, trouble: Trouble) -> Result<Hub> {
        // The paths of sockets are short.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tessera-{}-{number}", process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let sockets = (0..machines).map(|machine| {
            let path = hub_path(&folder, machine);
            let socket = UnixDatagram::bind(&path);
            let socket = socket.with_context(|| format!("no socket at {}", path.display()))?;
            socket.set_read_timeout(Some(LOOK))?;
            Ok(socket)
        });
        let shared = Arc::new(Shared {
            sockets: sockets.collect::<Result<_>>()?,
            folder,
            trouble: Mutex::new(trouble),
            counters: Mutex::default(),
            heard: Mutex::default(),
            queue: Queue::new(),
        });
        let mut threads: Vec<_> = (0..machines)
            .map(|machine| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.receive(machine))
            })
            .collect();
        let sending = Arc::clone(&shared);
        threads.push(thread::spawn(move || sending.send()));
        Ok(Hub { shared, threads })
    }

    /// How a machine's network device is connected to it.
    pub fn network(&self, machine: usize) -> Network {
        Network::Segment {
            own: own_path(&self.shared.folder, machine),
            hub: hub_path(&self.shared.folder, machine),
        }
    }

    /// Where a machine's sensor is set.
    pub fn sensor(&self, machine: usize) -> PathBuf {
        self.shared.folder.join(format!("sensor{machine}"))
    }

    /// The address that QEMU's device has for a machine: a local one.
    pub fn mac(machine: usize) -> Mac {
        let number = (machine as u32).to_be_bytes();
        [2, 0, number[0], number[1], number[2], number[3]]
    }

    /// What trouble the segment makes.
    pub fn trouble(&self) -> Trouble {
        lock(&self.shared.trouble).clone()
    }

    /// Makes other trouble from now on.
    pub fn set_trouble(&self, trouble: Trouble) {
        *lock(&self.shared.trouble) = trouble;
    }

    /// What the machines have sent, as far as it is kept, and from now on is no more.
    pub fn take_heard(&self) -> Vec<Heard> {
        lock(&self.shared.heard).drain(..).collect()
    }

    /// Says all that is kept again, to every machine: as it was, or those frames that carry
    /// something, each with a bit of that changed. How many frames that are.
    pub fn replay(&self, altered: bool) -> Result<usize> {
        let mut heard: Vec<Heard> = lock(&self.shared.heard).iter().cloned().collect();
        let mut dice = Dice::new(lock(&self.shared.trouble).seed, self.shared.sockets.len());
        if altered {
            heard.retain_mut(|frame| packet::alter(&mut frame.bytes, dice.next()));
        }
        let socket = UnixDatagram::unbound()?;
        // A machine that is busy is waited for.
        socket.set_write_timeout(Some(REPLAY_PATIENCE))?;
        for frame in &heard {
            for to in 0..self.shared.sockets.len() {
                match socket.send_to(&frame.bytes, own_path(&self.shared.folder, to)) {
                    Ok(_) => lock(&self.shared.counters).arrived += 1,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        bail!("machine {} takes no frame", to + 1);
                    }
                    // One that is not there takes nothing.
                    Err(_) => lock(&self.shared.counters).refused += 1,
                }
            }
        }
        Ok(heard.len())
    }

    /// What has become of frames so far.
    pub fn counters(&self) -> Counters {
        *lock(&self.shared.counters)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.queue.end();
        for thread in self.threads.drain(..) {
            // One that has panicked has said so.
            let _ = thread.join();
        }
        // What is left of it does no harm.
        let _ = fs::remove_dir_all(&self.shared.folder);
    }
}

impl Shared {
    /// Takes what a machine sends, until the segment ends.
    fn receive(&self, from: usize) {
        let mut bytes = vec![0; FRAME];
        let mut dice = Dice::new(lock(&self.trouble).seed, from);
        while !self.queue.has_ended() {
            let Ok(length) = self.sockets[from].recv(&mut bytes) else {
                // Nothing came for a while.
                continue;
            };
            lock(&self.counters).sent += 1;
            self.keep(from, &bytes[..length]);
            let trouble = lock(&self.trouble).clone();
            for to in (0..self.sockets.len()).filter(|to| *to != from) {
                let fates = trouble.fates(&mut dice, from, to);
                if fates.is_empty() {
                    lock(&self.counters).lost += 1;
                }
                let now = Instant::now();
                let mut arrives: Box<[u8]> = bytes[..length].into();
                trouble.alters(&mut dice, &mut arrives);
                for delay in fates {
                    self.queue.push(Frame {
                        due: now + delay,
                        to,
                        bytes: arrives.clone(),
                        since: None,
                    });
                }
            }
        }
    }

    fn keep(&self, from: usize, bytes: &[u8]) {
        let mut heard = lock(&self.heard);
        if heard.len() == KEPT {
            heard.pop_front();
        }
        let bytes = bytes.into();
        heard.push_back(Heard { from, bytes });
    }

    /// Sends what is due, until the segment ends.
    fn send(&self) {
        let Ok(socket) = UnixDatagram::unbound() else {
            return;
        };
        if socket.set_nonblocking(true).is_err() {
            return;
        }
        while let Some(mut frame) = self.queue.next(LOOK) {
            let now = Instant::now();
            match socket.send_to(&frame.bytes, own_path(&self.folder, frame.to)) {
                Ok(_) => lock(&self.counters).arrived += 1,
                // A machine that is busy takes it later.
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock
                        && frame.since.is_none_or(|since| now - since < PATIENCE) =>
                {
                    frame.since.get_or_insert(now);
                    frame.due = now + PAUSE;
                    self.queue.push(frame);
                }
                // One that is not there takes nothing.
                Err(_) => lock(&self.counters).refused += 1,
            }
        }
    }
}

fn own_path(folder: &Path, machine: usize) -> PathBuf {
    folder.join(format!("m{machine}"))
}

fn hub_path(folder: &Path, machine: usize) -> PathBuf {
    folder.join(format!("h{machine}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sockets in the places of machines.
    fn machines(hub: &Hub, count: usize) -> Vec<(UnixDatagram, PathBuf)> {
        (0..count)
            .map(|machine| {
                let Network::Segment { own, hub } = hub.network(machine) else {
                    panic!("a segment")
                };
                let socket = UnixDatagram::bind(own).unwrap();
                socket
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                (socket, hub)
            })
            .collect()
    }

    fn receive(socket: &UnixDatagram) -> Vec<u8> {
        let mut bytes = [0; 100];
        let length = socket.recv(&mut bytes).unwrap();
        bytes[..length].to_vec()
    }

    #[test]
    fn a_frame_reaches_all_others() {
        let hub = Hub::new(3, Trouble::default()).unwrap();
        let machines = machines(&hub, 3);
        let (socket, to) = &machines[1];
        socket.send_to(b"hello", to).unwrap();
        assert_eq!(receive(&machines[0].0), b"hello");
        assert_eq!(receive(&machines[2].0), b"hello");
        let (socket, to) = &machines[0];
        socket.send_to(b"back", to).unwrap();
        // It has not had its own before that.
        assert_eq!(receive(&machines[1].0), b"back");
    }

    #[test]
    fn a_partition_cuts_off_and_heals() {
        let parted = Trouble {
            groups: vec![vec![0], vec![1, 2]],
            ..Trouble::default()
        };
        let hub = Hub::new(3, parted).unwrap();
        let machines = machines(&hub, 3);
        let (socket, to) = &machines[1];
        socket.send_to(b"one", to).unwrap();
        assert_eq!(receive(&machines[2].0), b"one");
        hub.set_trouble(Trouble::default());
        socket.send_to(b"two", to).unwrap();
        assert_eq!(receive(&machines[0].0), b"two");
        assert_eq!(hub.counters().lost, 1);
    }

    #[test]
    fn what_was_heard_is_said_again() {
        let hub = Hub::new(2, Trouble::default()).unwrap();
        let machines = machines(&hub, 2);
        let (socket, to) = &machines[1];
        socket.send_to(b"hello", to).unwrap();
        assert_eq!(receive(&machines[0].0), b"hello");
        assert_eq!(hub.replay(false).unwrap(), 1);
        for (socket, _) in &machines {
            assert_eq!(receive(socket), b"hello");
        }
        assert_eq!(hub.replay(true).unwrap(), 0, "it carries nothing");
        let heard = Heard {
            from: 1,
            bytes: (*b"hello").into(),
        };
        assert_eq!(hub.take_heard(), [heard]);
        assert_eq!(hub.replay(false).unwrap(), 0);
    }

    #[test]
    fn its_sockets_go_with_it() {
        let hub = Hub::new(1, Trouble::default()).unwrap();
        let Network::Segment { hub: path, .. } = hub.network(0) else {
            panic!("a segment")
        };
        assert!(path.exists() && path.as_os_str().len() < 100);
        drop(hub);
        assert!(!path.exists());
    }
}
