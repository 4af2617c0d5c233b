//! Reads what a device says, as `softbus-parser` does, but for calls whose words say what it
//! is to do instead, and until when: it remembers nothing, so that only time tells it that
//! it has done so.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

#[path = "../faulty.rs"]
mod faulty;

use alloc::vec;
use faulty::{CRASH, DENY, HANG, LIE};
use libipc::{
    Bytes, Lease, LeaseMut, Start,
    objects::EndpointClient,
    start::AnyError,
    time::{self, Instant},
};
use tessera_softbus_parser::{
    BusParser, ENDPOINT, ParserError, Reader,
    interface::SAID,
    small::{Datagram, Said},
};
use tessera_softbus_protocol::{
    announce::HELLO,
    records,
    wire::{Body, Message},
};

libipc::program!(run);

fn run(mut start: Start) -> Result<(), AnyError> {
    let endpoint: EndpointClient = start.take(ENDPOINT)?;
    Err(libipc::serve::<dyn BusParser>(&endpoint, &mut Faulty).into())
}

struct Faulty;

impl BusParser for Faulty {
    fn messages(&mut self, plain: Lease, forms: LeaseMut) -> Result<u64, ParserError> {
        match told(&plain) {
            Some(CRASH) => panic!("it was told to"),
            // It is killed meanwhile.
            Some(HANG) => time::sleep_until(Instant::FOREVER),
            Some(LIE) => {
                // It counts more than there can be, too.
                let _ = forms.write_at(0, &vec![0xff; forms.len()]);
                return Ok(u64::MAX);
            }
            Some(DENY) => return Ok(0),
            _ => {}
        }
        Reader.messages(plain, forms)
    }

    fn said(&mut self, bytes: Bytes<SAID>) -> Result<Said, ParserError> {
        Reader.said(bytes)
    }

    fn datagram(&mut self, bytes: Bytes<HELLO>) -> Result<Datagram, ParserError> {
        Reader.datagram(bytes)
    }
}

/// What a call says that is to be done now.
fn told(plain: &Lease) -> Option<u64> {
    let mut bytes = vec![0; plain.len()];
    plain.read_at(0, &mut bytes).ok()?;
    let places = records::places(&bytes);
    let mut read = places.into_iter().map(|place| Message::read(&bytes[place]));
    read.find_map(|message| match message {
        Ok(Message::Sequenced(_, Body::Call(call))) => {
            let [what, until, ..] = call.payload.words;
            let is_told = [CRASH, HANG, LIE, DENY].contains(&what);
            (is_told && !Instant::from_ticks(until).passed()).then_some(what)
        }
        _ => None,
    })
}
