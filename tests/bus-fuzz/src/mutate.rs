//! Changes to bytes.

use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::random::Random;

/// What inputs begin with: one file for each sort of packet and message.
pub const CORPUS: &[&[u8]] = &[
    include_bytes!("../corpus/hello"),
    include_bytes!("../corpus/hello-open"),
    include_bytes!("../corpus/ping"),
    include_bytes!("../corpus/opening"),
    include_bytes!("../corpus/resume"),
    include_bytes!("../corpus/beat"),
    include_bytes!("../corpus/call"),
    include_bytes!("../corpus/call-objects"),
    include_bytes!("../corpus/lend"),
    include_bytes!("../corpus/reply"),
    include_bytes!("../corpus/reply-ticket"),
    include_bytes!("../corpus/release"),
    include_bytes!("../corpus/trust"),
    include_bytes!("../corpus/pairing"),
];

/// Numbers that parsers trip over.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x1000,
    0x1001,
    0xffff,
    1 << 20,
    (1 << 20) + 1,
    0xffff_ffff,
    u64::MAX,
];

/// Something of the corpus, changed a little or a lot.
pub fn from_corpus(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = rng.pick(CORPUS).map_or(Vec::new(), |seed| seed.to_vec());
    mutate(&mut bytes, rng);
    bytes
}

/// Changes the bytes in one to four ways.
pub fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        mutate_once(bytes, rng);
    }
    bytes.truncate(6_000);
}

fn mutate_once(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let length = bytes.len() as u64;
    let place = rng.below(length.max(1)) as usize;
    match rng.below(8) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << rng.below(8);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = rng.word() as u8;
            }
        }
        3 => {
            let number = NUMBERS[rng.below(NUMBERS.len() as u64) as usize].to_le_bytes();
            let size = 1 << rng.below(4);
            let room = bytes.iter_mut().skip(place);
            room.zip(&number[..size])
                .for_each(|(byte, new)| *byte = *new);
        }
        4 => bytes.truncate(place),
        5 => {
            let mut more = vec![0; rng.within(1, 16) as usize];
            rng.fill(&mut more);
            bytes.splice(place.min(bytes.len())..place.min(bytes.len()), more);
        }
        6 => {
            let end = (place as u64 + rng.within(1, 16)).min(length) as usize;
            bytes.drain(place.min(end)..end);
        }
        _ => {
            if let Some(other) = rng.pick(CORPUS) {
                let from = rng.below(other.len() as u64) as usize;
                bytes.truncate(place);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
}
