//! What travels.

use crate::{
    check::{Failure, Verdict},
    echo::{Echo, EchoClient, EchoError, Echoing, INTERFACE, Server, number},
    raw,
    run::World,
};
use alloc::vec::Vec;
use libipc::{
    CallError, Capability, FOREVER,
    client::Borrowed,
    handle::Rights,
    label::{Flags, Label},
    message_buffer::{BYTES, word},
    objects::EndpointClient,
    status::{Cause, Status, TransportError},
};

pub(super) fn unknown_flags_are_refused(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let known = [
        Flags::empty(),
        Flags::OBJECT,
        Flags::RECEIVE,
        Flags::REPLY,
        Flags::RECEIVE | Flags::REPLY,
        Flags::SIGNAL,
        Flags::REPEAT,
    ];
    for bits in 0..32 {
        let flags = Flags::from_bits_retain(bits);
        if known.contains(&flags) {
            continue;
        }
        let label = Label::call(0, INTERFACE.hash).with_flags(flags);
        let out = raw::call(server.endpoint.as_ref().handle(), label, &[1, 2]);
        if !raw::refused(&out, Cause::Malformed) {
            return Err(Failure::new(format_args!("flags {bits}: {out:?}")));
        }
    }
    Ok(())
}

pub(super) fn impossible_counts_are_refused(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let plain = Label::call(number::ADD, INTERFACE.hash);
    let labels = [
        plain.with_bytes(BYTES + 1),
        plain.with_bytes(8191),
        plain.with_capabilities(5),
        plain.with_capabilities(7),
        plain.with_leases(5),
        plain.with_leases(7),
    ];
    for label in labels {
        let out = raw::call(server.endpoint.as_ref().handle(), label, &[1, 2]);
        check!(raw::refused(&out, Cause::Malformed));
        let memory = libipc::task().create_memory(1)?;
        let hash = libipc::objects::memory::INTERFACE.hash;
        let label = Label(label.0 & 0xffff_ffff | u64::from(hash) << 32);
        let out = raw::call(memory.as_ref().handle(), label, &[]);
        check!(raw::refused(&out, Cause::Malformed));
    }
    let client = EchoClient::from(server.endpoint.mint_client::<Capability>(1)?);
    check_eq!(client.add(1, 2)?, 3);
    Ok(())
}

pub(super) fn words_travel_both_ways(_: &mut World) -> Verdict {
    let words: [u64; 8] = core::array::from_fn(|index| 0x1111_2222_3333_4444 * (index as u64 + 1));
    let server = Server::new(move |endpoint| {
        let out = raw::receive(endpoint.as_ref().handle(), FOREVER);
        let back = out.words.map(|word| !word);
        (out, raw::reply(&back))
    })?;
    let label = Label::call(77, 0xfeed_beef);
    let answer = raw::call(server.endpoint.as_ref().handle(), label, &words);
    let (request, replied) = server.join()?;
    check_eq!(raw::status(&request), Some(Status::Message));
    check_eq!(request.words, words);
    check_eq!(request.label, label);
    check_eq!(request.badge, 0);
    check_eq!(raw::status(&replied), Some(Status::Message));
    check_eq!(raw::status(&answer), Some(Status::Message));
    check_eq!(answer.words, words.map(|word| !word));
    check_eq!(answer.label, Label(0));
    check_eq!(answer.request_id, request.request_id);
    Ok(())
}

pub(super) fn bytes_travel_both_ways(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let client = EchoClient::from(server.endpoint.mint_client::<Capability>(1)?);
    let words: [u64; 100] = core::array::from_fn(|index| (index as u64 + 1).rotate_right(7));
    let mut back = client.reverse(words)?;
    back.reverse();
    check_eq!(back, words);
    Ok(())
}

pub(super) fn a_full_buffer_travels_both_ways(_: &mut World) -> Verdict {
    const WORDS: usize = BYTES / 8;
    let server = Server::new(|endpoint| {
        let out = raw::receive(endpoint.as_ref().handle(), FOREVER);
        let seen: Vec<u64> = (0..WORDS)
            .map(|index| raw::get(word::BYTES + index))
            .collect();
        (0..WORDS).for_each(|index| raw::set(word::BYTES + index, !seen[index]));
        let label = Label::control(Flags::REPLY, Label::OK).with_bytes(BYTES);
        raw::call(libipc::handle::Handle::NULL, label, &[]);
        (out.label, seen)
    })?;
    let sent: Vec<u64> = (0..WORDS as u64)
        .map(|index| index << 32 | !index & 0xffff)
        .collect();
    (0..WORDS).for_each(|index| raw::set(word::BYTES + index, sent[index]));
    let label = Label::call(1, 2).with_bytes(BYTES);
    let out = raw::call(server.endpoint.as_ref().handle(), label, &[]);
    // Before another call overwrites the buffer.
    let back: Vec<u64> = (0..WORDS)
        .map(|index| raw::get(word::BYTES + index))
        .collect();
    let (seen_label, seen) = server.join()?;
    check_eq!(raw::status(&out), Some(Status::Message));
    check_eq!(seen_label, label);
    check!(seen == sent);
    check_eq!(out.label.bytes(), BYTES);
    check!(back.iter().zip(&sent).all(|(back, sent)| *back == !sent));
    Ok(())
}

pub(super) fn capabilities_travel_both_ways(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let client = EchoClient::from(server.endpoint.mint_client::<Capability>(1)?);
    let memory = libipc::task().create_memory(3)?;
    let before = memory.as_ref().handle();
    let passed = client.pass(memory.into())?;
    check!(passed.handle() != before);
    check_eq!(passed.rights(), before.rights());
    // It was moved twice, so the first handle is dead and the last one lives.
    let old = Borrowed::<libipc::objects::MemoryClient>::new(before);
    check_eq!(
        old.pages()
            .map_err(|error| error.transport().map(|error| error.cause)),
        Err(Some(Cause::Denied))
    );
    let memory = libipc::objects::MemoryClient::from(passed);
    check_eq!(memory.pages()?, 3);
    Ok(())
}

pub(super) fn a_server_error_is_the_servers(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let client = EchoClient::from(server.endpoint.mint_client::<Capability>(1)?);
    check_eq!(
        client.refuse(),
        Err(libipc::CallError::Server(EchoError::Asked))
    );
    check_eq!(Echoing.add(1, 1), Ok(2));
    Ok(())
}

pub(super) fn a_recorded_operation_runs_once(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let echo = EchoClient::from(server.endpoint.as_ref().derive(Rights::CALL)?);
    let first = echo.count(5)?;
    check_eq!(echo.repeating().count(5), Ok(first));
    check_eq!(echo.repeating().count(5), Ok(first));
    let malformed = TransportError::refused(Cause::Malformed);
    check_eq!(
        echo.repeating().count(6),
        Err(CallError::Transport(malformed))
    );
    check_eq!(echo.count(5), Ok(first + 1));
    // Another thread has recorded nothing.
    let handle = echo.as_ref().handle();
    let other = libipc::thread::spawn(move || {
        let echo: Borrowed<EchoClient> = Borrowed::new(handle);
        echo.repeating().count(5)
    })?;
    let dropped = TransportError::delivered(Cause::Dropped);
    check_eq!(other.join(), Some(Err(CallError::Transport(dropped))));
    check_eq!(echo.count(5), Ok(first + 2));
    Ok(())
}

pub(super) fn a_repeat_keeps_its_request_id(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let derived = server.endpoint.as_ref().derive(Rights::CALL)?;
    let label = Label::call(number::ADD, INTERFACE.hash);
    let call = |label| raw::call(derived.handle(), label, &[1, 2]).request_id;
    let first = call(label);
    check_eq!(call(label.with_flags(Flags::REPEAT)), first);
    check_eq!(call(label.with_flags(Flags::REPEAT)), first);
    check!(call(label) > first);
    // It is not for the kernel's own objects.
    let task = libipc::task().as_ref().handle();
    let repeat = Label::call(0, libipc::objects::task::INTERFACE.hash).with_flags(Flags::REPEAT);
    check!(raw::refused(
        &raw::call(task, repeat, &[]),
        Cause::Malformed
    ));
    Ok(())
}

pub(super) fn an_earlier_version_of_an_interface_is_served(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let derived = server.endpoint.as_ref().derive(Rights::CALL)?;
    let [older] = *INTERFACE.older else {
        return Err(Failure::new("there is no earlier version"));
    };
    let out = raw::call(derived.handle(), Label::call(number::ADD, older), &[1, 2]);
    check_eq!(
        (raw::status(&out), out.words[0]),
        (Some(Status::Message), 3)
    );
    let echo = EchoClient::from(derived);
    check_eq!(echo.agree(&[number::ADD, number::COUNT]), Ok(()));
    check_eq!(echo.agree(&[]), Ok(()));
    Ok(())
}

pub(super) fn requests_have_ids_that_grow(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let derived = server.endpoint.as_ref().derive(Rights::CALL)?;
    let handle = derived.handle();
    let label = Label::call(number::ADD, INTERFACE.hash);
    let mut last = raw::call(handle, label, &[1, 2]).request_id;
    let thread = libipc::thread::current().info()?.id;
    for _ in 0..10 {
        let out = raw::call(handle, label, &[1, 2]);
        check_eq!(out.words[0], 3);
        check_eq!(out.request_id >> 40, thread & 0xff_ffff);
        check!(out.request_id > last);
        last = out.request_id;
    }
    let other = libipc::thread::spawn(move || {
        let _: Borrowed<EndpointClient> = Borrowed::new(handle);
        raw::call(handle, label, &[1, 2]).request_id
    })?;
    let other = other.join().ok_or_else(|| Failure::new("no result"))?;
    check!(other >> 40 != last >> 40);
    Ok(())
}
