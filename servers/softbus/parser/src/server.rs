//! Reads, by the protocol's own readers.

use alloc::{vec, vec::Vec};
use libipc::{Bytes, Lease, LeaseMut};
use tessera_softbus_protocol::{
    announce::{self, HELLO},
    pairing, records,
    wire::Message,
};

use crate::{
    form::Form,
    interface::{BATCH, BusParser, ParserError, RECORDS, SAID},
    small::{Datagram, Said},
};

/// See the module. It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader;

impl BusParser for Reader {
    fn messages(&mut self, plain: Lease, forms: LeaseMut) -> Result<u64, ParserError> {
        if plain.len() > BATCH {
            return Err(ParserError::TooLong);
        }
        let mut bytes = vec![0; plain.len()];
        let copied = plain.read_at(0, &mut bytes);
        copied.map_err(|_| ParserError::BadMemory)?;
        let places = records::places(&bytes);
        if places.len() > RECORDS {
            return Err(ParserError::TooLong);
        }
        let read = places.into_iter().map(|place| {
            let plain = &bytes[place];
            Some(Form::new(&Message::read(plain).ok()?, plain))
        });
        let read: Vec<_> = read.map_while(|form| form).collect();
        let mut out = Vec::with_capacity(read.len() * Form::SIZE);
        read.iter().for_each(|form| form.write(&mut out));
        let written = forms.write_at(0, &out);
        written.map_err(|_| ParserError::BadMemory)?;
        Ok(read.len() as u64)
    }

    fn said(&mut self, bytes: Bytes<SAID>) -> Result<Said, ParserError> {
        let said = pairing::Said::read(bytes.as_slice());
        Said::new(&said.map_err(|_| ParserError::Malformed)?).ok_or(ParserError::Malformed)
    }

    fn datagram(&mut self, bytes: Bytes<HELLO>) -> Result<Datagram, ParserError> {
        let datagram = announce::Datagram::read(bytes.as_slice());
        let datagram = datagram.map_err(|_| ParserError::Malformed)?;
        Datagram::new(&datagram).ok_or(ParserError::Malformed)
    }
}
