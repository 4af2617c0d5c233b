//! What a frame carries, and how it is changed so that only its contents tell.

use std::ops::Range;

/// Ethernet's header, and that of IPv6.
const ETHERNET: usize = 14;
const IPV6: usize = 40;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Where a frame has what its sender's program sent over TCP or UDP. None of other frames,
/// and of those with IP options.
pub fn carried(frame: &[u8]) -> Option<Range<usize>> {
    let (protocol, begin, end) = transport(frame)?;
    let header = match protocol {
        TCP => usize::from(frame.get(begin + 12)? >> 4) * 4,
        UDP => 8,
        _ => return None,
    };
    let carried = begin + header..end.min(frame.len());
    (carried.start < carried.end).then_some(carried)
}

/// The protocol over IP, and where its packet begins and ends.
fn transport(frame: &[u8]) -> Option<(u8, usize, usize)> {
    let ip = frame.get(ETHERNET..)?;
    let length = |at: usize| {
        Some(usize::from(u16::from_be_bytes([
            *ip.get(at)?,
            *ip.get(at + 1)?,
        ])))
    };
    match frame.get(12..ETHERNET)? {
        [0x86, 0xdd] => {
            let begin = ETHERNET + IPV6;
            Some((*ip.get(6)?, begin, begin + length(4)?))
        }
        [0x08, 0x00] if *ip.first()? == 0x45 => {
            Some((*ip.get(9)?, ETHERNET + 20, ETHERNET + length(2)?))
        }
        _ => None,
    }
}

/// Changes a bit of what a frame carries, which one is as `chance` has it, and makes the
/// checksum good. False if it carries nothing.
pub(super) fn alter(frame: &mut [u8], chance: u64) -> bool {
    let Some((carried, (protocol, begin, _))) = carried(frame).zip(transport(frame)) else {
        return false;
    };
    let place = carried.start + (chance >> 3) as usize % carried.len();
    // The sum is of words from the packet's beginning on.
    let word = place - (place - begin) % 2;
    let sum = begin + if protocol == TCP { 16 } else { 6 };
    let read = |frame: &[u8], at: usize| {
        let low = frame.get(at + 1).copied().unwrap_or_default();
        u16::from_be_bytes([frame[at], low])
    };
    let before = read(frame, word);
    frame[place] ^= 1 << (chance % 8);
    // RFC 1624, equation 3.
    let words = [!read(frame, sum), !before, read(frame, word)];
    let total: u32 = words.map(u32::from).iter().sum();
    let folded = (total & 0xffff) + (total >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    let checksum = match !(folded as u16) {
        // That would say that there is none.
        0 if protocol == UDP => 0xffff,
        checksum => checksum,
    };
    frame[sum..sum + 2].copy_from_slice(&checksum.to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram over IPv6 with five bytes, an odd number.
    fn datagram() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 13, UDP, 1]);
        frame.extend((0..32).map(|index| index * 7));
        frame.extend([0x1c, 0xbb, 0x1c, 0xbb, 0, 13, 0, 0]);
        frame.extend(*b"hello");
        let sum = !total(&frame);
        frame[60..62].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// The sum of all that a checksum is of.
    fn total(frame: &[u8]) -> u16 {
        let mut summed = frame[22..].to_vec();
        summed.extend([0, 13, 0, UDP]);
        if summed.len() % 2 == 1 {
            summed.insert(summed.len() - 4, 0);
        }
        let words = summed
            .chunks(2)
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
        let total: u32 = words.sum();
        let folded = (total & 0xffff) + (total >> 16);
        ((folded & 0xffff) + (folded >> 16)) as u16
    }

    #[test]
    fn a_changed_frame_has_a_good_checksum() {
        let frame = datagram();
        assert_eq!(carried(&frame), Some(62..67));
        assert_eq!(total(&frame), 0xffff);
        for chance in 0..100 {
            let mut changed = frame.clone();
            assert!(alter(&mut changed, chance));
            assert_eq!(total(&changed), 0xffff, "{chance}");
            let differ = (62..67).filter(|place| changed[*place] != frame[*place]);
            assert_eq!(differ.count(), 1, "{chance}");
        }
    }

    #[test]
    fn what_carries_nothing_stays() {
        let whole = datagram();
        for length in 0..62 {
            let mut cut = whole[..length].to_vec();
            assert!(!alter(&mut cut, 7), "{length}");
            assert_eq!(cut, whole[..length]);
        }
        let mut arp = whole;
        arp[12..14].copy_from_slice(&[8, 6]);
        assert_eq!(carried(&arp), None);
    }
}
