//! Servers that answer what cannot be, as one of another device's may.

use libipc::{
    Capability, fake,
    forward::Answer,
    objects::EndpointClient,
    server::{Event, Receiver},
    time::Instant,
};
use tessera_tools::{
    IoError,
    io::{Directory, File},
    native::{NativeDirectory, NativeFile, write_all},
};

/// A server that answers every call with these words.
fn says(words: &'static [u64]) -> Capability {
    fake::serve(move |endpoint: &EndpointClient| {
        let mut receiver = Receiver::new(endpoint);
        loop {
            match receiver.wait(Instant::FOREVER) {
                Ok(Event::Message(message)) => {
                    if let Ok(request) = message.keep() {
                        request.answer(endpoint, Answer::Done(words.to_vec(), Vec::new()));
                    }
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    })
}

fn is_refused<T: std::fmt::Debug>(result: Result<T, IoError>) {
    let text = "the server does not keep to its interface";
    assert_eq!(result.unwrap_err(), IoError::Failed(text.into()));
}

#[test]
fn nobody_has_read_or_written_more_than_there_is() {
    let mut into = [0; 100];
    for count in [101, 5_000, u64::MAX] {
        let words: &[u64] = Box::leak(Box::new([count]));
        is_refused(NativeFile(says(words).into()).read_at(0, &mut into));
        is_refused(NativeFile(says(words).into()).write_at(0, &into));
        is_refused(write_all(&says(words).into(), &into));
    }
    let read = NativeFile(says(&[100]).into()).read_at(0, &mut into);
    assert_eq!(read, Ok(100));
}

#[test]
fn a_directory_has_an_end() {
    // Too much of a page; and a page of nothing behind which there is another.
    for words in [&[5_000, 0], &[0, 7]] {
        is_refused(NativeDirectory(says(words).into()).list());
    }
    let empty = NativeDirectory(says(&[0, 0]).into()).list();
    assert!(empty.unwrap().is_empty());
}
