//! Every bound and every time of the protocol, in one place. Times are milliseconds,
//! sizes bytes.

use crate::Millis;

/// Most bytes of a device's or a service's name.
pub const NAME: usize = 32;

// What a message holds: the bounds of the kernel's own.

/// Words that travel in registers.
pub const WORDS: usize = 8;
/// Most bytes beside them.
pub const BYTES: usize = 4096;
/// Most leases of a call.
pub const LEASES: usize = 4;
/// Most objects of a message.
pub const OBJECTS: usize = 4;
/// Most bytes of a lease.
pub const LEASE: usize = 1 << 20;
/// Most bytes of a lease in one message.
pub const PIECE: usize = 4096;

/// Bytes that encryption adds to a message.
pub const TAG: usize = 16;
/// Most bytes of a frame's body, tag included.
pub const FRAME: usize = 5120;
/// So many bytes under one key, then there is a new handshake.
pub const REKEY_BYTES: u64 = 1 << 30;
/// So long one key lasts.
pub const REKEY_AFTER: Millis = 3_600_000;

// Tables.

/// Devices that are trusted.
pub const TRUSTED: usize = 64;
/// Devices that are known for an object alone, because another device handed it on.
pub const GUESTS: usize = 32;
/// Keys of pairs of devices that are kept at hand.
pub const KNOWN: usize = 256;
/// Strangers that are remembered, and those of them at one address.
pub const STRANGERS: usize = 64;
/// See [`STRANGERS`].
pub const STRANGERS_EACH: usize = 4;
/// Streams whose handshake is not complete.
pub const PENDING: usize = 8;
/// With so many of them a stranger has to show a cookie.
pub const COOKIES_FROM: usize = 4;
/// Services that are published.
pub const SERVICES: usize = 64;
/// Objects that one peer holds.
pub const EXPORTS: usize = 256;
/// Objects of one peer that we hold.
pub const IMPORTS: usize = 256;
/// Calls that one peer has here, those answered but not acknowledged included.
pub const CALLS: usize = 64;
/// Calls that we have at one peer. Less by [`ACKNOWLEDGE`], for so many answers may be
/// here that the peer does not know to have arrived.
pub const OWN_CALLS: usize = CALLS - ACKNOWLEDGE as usize;
/// Messages that are acknowledged at once, not with the next beat.
pub const ACKNOWLEDGE: u64 = 16;
/// Most bytes of the leases of one call.
pub const CALL_BYTES: u64 = 2 << 20;
/// Bytes that one peer can make us hold: requests, their leases, and the leases that
/// its calls have us fill.
pub const PEER_BYTES: u64 = 4 << 20;
/// Bytes that all peers together can make us hold: a call for which there is no room is
/// refused.
pub const ALL_BYTES: u64 = 3 << 20;
/// So many a peer may make us hold all the same, whatever the others do.
pub const SMALL_BYTES: u64 = 8 << 10;
/// Bytes that wait to be sent to one peer.
pub const QUEUE_BYTES: u64 = 4 << 20;
/// Bytes of the leases of our own calls, at all peers together.
pub const LENT_BYTES: u64 = 2 << 20;
/// Bytes that a stream was given and that the peer has not acknowledged; the rest waits.
pub const FLYING: usize = 256 << 10;
/// What a message costs of the credit beside its contents.
pub const MESSAGE_COST: u64 = 64;
/// Messages that we keep for a peer that does not acknowledge: more than its calls and
/// their leases can be.
pub const UNREAD: usize = 4096;
/// So much credit is told at once, not with the next beat.
pub const CREDIT_STEP: u64 = PEER_BYTES / 8;

// Presence.

/// Tags of an announcement: peers that recognise it.
pub const TAGS: usize = 16;
/// Announcements are at least so far apart.
pub const HELLO_EVERY: Millis = 4_000;
/// And at most.
pub const HELLO_SLOWEST: Millis = 64_000;
/// Announcements a second that all devices make together when nothing happens.
pub const HELLO_STEADY: u64 = 16;
/// A device is silent when it has heard so many in a second.
pub const HELLO_MOST: usize = 18;
/// Unless it has just come, together with fewer than so many.
pub const HELLO_FEW: usize = 73;
/// However many are heard, a device announces itself after this, or twice this at most.
pub const HELLO_LEAST: Millis = 640_000;
/// A new device announces itself so often at first, so far apart.
pub const ARRIVALS: u8 = 2;
/// See [`ARRIVALS`].
pub const ARRIVAL_AGAIN: Millis = 200;
/// A new device's first announcement, and answers to it, come within this.
pub const HELLO_SPREAD: Millis = 600;
/// Who has to be silent tries again within so many times that.
pub const DEFER: Millis = 6;
/// Answers come within so much longer as there are times so many devices.
pub const CROWD: u64 = 64;
/// Announcements that the spread is made for.
pub const HELLO_POPULATION: u64 = 10_000;
/// How long an unanswered probe waits for its repetition.
pub const PROBE_AGAIN: Millis = 150;
/// Probes of one address without an answer.
pub const PROBES: u8 = 7;
/// So many of them are equally far apart; then the time doubles, so that somebody who is
/// stopped for a second or two is not taken to be gone.
pub const QUICK_PROBES: u8 = 4;
/// Datagrams to single peers in a second.
pub const UNICASTS: u32 = 64;
/// A peer whose announcements were missed so often is asked whether it is there.
pub const MISSED: u64 = 3;
/// A stranger is forgotten when it was not heard for so many of its intervals.
pub const STRANGER_MISSED: u64 = 4;

// Sessions.

/// Beats of an open session.
pub const BEAT: Millis = 400;
/// After such a silence a stream is suspect: the peer is asked by datagram.
pub const SUSPECT: Millis = 900;
/// A stream that was silent for so long is replaced, whoever may be there.
pub const REPLACE: Millis = 1_400;
/// After such a silence, datagrams included, the peer is lost.
pub const LOST: Millis = 1_900;
/// A peer that answers datagrams, but with which no stream comes about, is lost too.
pub const UNUSABLE: Millis = 6_000;
/// A handshake takes at most this.
pub const HANDSHAKE: Millis = 1_500;
/// First and longest wait before another stream is tried.
pub const REDIAL: Millis = 100;
/// See [`REDIAL`].
pub const REDIAL_SLOWEST: Millis = 1_600;
/// A lost peer with whom something is to be done is dialled that often.
pub const REVISIT: Millis = 3_000;
/// What is known of a lost peer's calls and objects is kept for so long.
pub const FORGET: Millis = 60_000;

// Pairing.

/// Digits of a PIN.
pub const PIN_DIGITS: u32 = 6;
/// How long pairing is open.
pub const PAIRING: Millis = 60_000;
/// Runs that fail, then pairing is closed.
pub const WRONG_RUNS: u8 = 3;
/// One run takes at most this.
pub const PAIRING_RUN: Millis = 10_000;

// Hand-over.

/// Shortest and longest time that a hand-over outlasts the silence of who made it.
pub const BOUND_SHORTEST: Millis = 2_000;
/// See [`BOUND_SHORTEST`].
pub const BOUND_LONGEST: Millis = 3_600_000;
/// Hand-overs that can be taken back, and those of them to one device.
pub const GRANTS: usize = 256;
/// See [`GRANTS`].
pub const GRANTS_EACH: usize = 64;
/// So often an object is handed on from device to device.
pub const HOPS: u8 = 8;
/// Devices that are known for an object alone because of one device.
pub const GUESTS_EACH: usize = 16;
/// An owner that was asked to know another device, so that it can be given something,
/// answers within this.
pub const HAND_OVER: Millis = 5_000;
/// Clocks of two devices run equally fast but for one part in so many.
pub const SKEW: u64 = 50;

/// How long a cookie is good: this, or twice this.
pub const COOKIE: Millis = 10_000;
