//! Reads what a device says, as `softbus-parser` does, but for calls whose words say that it
//! is to fault, and until when: it remembers nothing, so that only time tells it that it has
//! done so.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

#[path = "../faulty.rs"]
mod faulty;

use alloc::vec;
use faulty::CRASH;
use libipc::{
    Bytes, Lease, LeaseMut, Start, objects::EndpointClient, start::AnyError, time::Instant,
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
        if is_to_fault(&plain) == Some(true) {
            panic!("it was told to");
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

/// Whether a call says so now.
fn is_to_fault(plain: &Lease) -> Option<bool> {
    let mut bytes = vec![0; plain.len()];
    plain.read_at(0, &mut bytes).ok()?;
    let places = records::places(&bytes);
    let mut read = places.into_iter().map(|place| Message::read(&bytes[place]));
    Some(read.any(|message| match message {
        Ok(Message::Sequenced(_, Body::Call(call))) => {
            let [what, until, ..] = call.payload.words;
            what == CRASH && !Instant::from_ticks(until).passed()
        }
        _ => false,
    }))
}
