//! What was read is passed on as it was, and an answer that nobody could have read from
//! anything is refused.

#[path = "../../protocol/tests/host/strategies.rs"]
mod strategies;

use libipc::fake;
use proptest::collection::vec;
use proptest::prelude::*;
use strategies::message;
use tessera_softbus_parser::{BusParser, BusParserClient, Form, ParserError, Reader, small};
use tessera_softbus_protocol::announce::{Datagram, Hello, Ping};
use tessera_softbus_protocol::pairing::Said;
use tessera_softbus_protocol::records;
use tessera_softbus_protocol::trust::Trusted;
use tessera_softbus_protocol::wire::Message;

/// The bytes of a form.
fn bytes(message: &Message, plain: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Form::new(message, plain).write(&mut bytes);
    bytes
}

fn name() -> impl Strategy<Value = String> {
    "[a-zé]{0,16}"
}

fn datagram() -> impl Strategy<Value = Datagram> {
    let open = proptest::option::of((name(), any::<u8>()));
    let hello = (
        any::<(u64, u64, u16, u16)>(),
        any::<[bool; 2]>(),
        open,
        any::<[[u8; 8]; 16]>(),
    );
    let hello = hello.prop_map(|(numbers, [seeks, leaves], open, tags)| {
        let (instance, sequence, interval, port) = numbers;
        Datagram::Hello(Hello {
            instance,
            sequence,
            interval,
            port,
            seeks,
            leaves,
            open,
            tags,
        })
    });
    let ping = any::<((u64, u64, u64, u16), [u8; 16])>();
    let ping = ping.prop_map(|((instance, nonce, echo, port), tag)| {
        let ping = Ping {
            instance,
            nonce,
            echo,
            port,
        };
        Datagram::Ping(ping, tag)
    });
    prop_oneof![hello, ping]
}

fn said() -> impl Strategy<Value = Said> {
    let confirm = (any::<[u8; 16]>(), name(), any::<u8>());
    prop_oneof![
        any::<([u8; 32], u8)>().prop_map(|(most, last)| {
            let mut message = [last; 33];
            message[..32].copy_from_slice(&most);
            Said::Exchange(message)
        }),
        confirm.prop_map(|(shown, name, kind)| Said::Confirm(shown, Trusted { name, kind })),
        Just(Said::Kept),
        Just(Said::Wrong),
    ]
}

proptest! {
    #[test]
    fn a_message_is_passed_on_as_it_was(message in message()) {
        let plain = message.to_bytes();
        let form = bytes(&message, &plain);
        prop_assert_eq!(form.len(), Form::SIZE);
        let form = Form::read(&form).unwrap();
        prop_assert_eq!(form.message(&plain), Some(message));
    }

    /// Whatever whoever reads answers, it is refused, or is a message that can be said.
    #[test]
    fn an_answer_is_a_message_or_refused(
        message in message(),
        changes in vec((any::<prop::sample::Index>(), prop_oneof![0..9_u64, any::<u64>()]), 0..4),
        cut in 0..200_usize,
    ) {
        let mut plain = message.to_bytes();
        let mut form = bytes(&message, &plain);
        for (place, word) in changes {
            let place = 8 * place.index(form.len() / 8);
            form[place..place + 8].copy_from_slice(&word.to_le_bytes());
        }
        plain.truncate(plain.len().saturating_sub(cut).max(1));
        let said = Form::read(&form).and_then(|form| form.message(&plain));
        if let Some(message) = said {
            prop_assert_eq!(Message::read(&message.to_bytes()), Ok(message));
        }
    }

    #[test]
    fn a_datagram_is_passed_on_as_it_was(datagram in datagram()) {
        let form = small::Datagram::new(&datagram).unwrap();
        prop_assert_eq!(form.get(), Some(datagram));
    }

    #[test]
    fn what_is_said_is_passed_on_as_it_was(said in said()) {
        let form = small::Said::new(&said).unwrap();
        prop_assert_eq!(form.get(), Some(said));
    }

    #[test]
    fn records_are_read_up_to_the_first_that_is_no_message(
        before in vec(message(), 0..3),
        broken in vec(any::<u8>(), 0..40).prop_filter("is one", |bytes| Message::read(bytes).is_err()),
        after in message(),
    ) {
        let mut plain: Vec<_> = before.iter().map(Message::to_bytes).collect();
        plain.extend([broken, after.to_bytes()]);
        let parser: BusParserClient =
            fake::serve(|endpoint| libipc::serve::<dyn BusParser>(endpoint, &mut Reader));
        let mut forms = vec![0; plain.len() * Form::SIZE];
        let count = parser.messages(&records::write(&plain, 0), &mut forms).unwrap() as usize;
        prop_assert_eq!(count, before.len());
        for (message, (form, plain)) in before.iter().zip(forms.chunks(Form::SIZE).zip(&plain)) {
            let said = Form::read(form).and_then(|form| form.message(plain));
            prop_assert_eq!(said.as_ref(), Some(message));
        }
    }
}

#[test]
fn what_is_too_long_is_refused() {
    let parser: BusParserClient =
        fake::serve(|endpoint| libipc::serve::<dyn BusParser>(endpoint, &mut Reader));
    let plain = vec![0; tessera_softbus_parser::interface::BATCH + 1];
    let mut forms = vec![0; 64 * Form::SIZE];
    let too_long = Err(libipc::CallError::Server(ParserError::TooLong));
    assert_eq!(parser.messages(&plain, &mut forms), too_long);
    assert_eq!(parser.messages(&vec![0; 2 * 33], &mut forms), too_long);
}
