//! A case for each operation of each kernel object, and for each system call.
//! Together they are the outcome matrix: what a call can end with stands at its
//! declaration, each case makes every one of these endings happen, and one that
//! it does not reach fails it, as does one that was never promised ([`row`]).

mod calls;
mod dma;
mod endpoint;
mod interrupt;
mod memory;
mod reply;
mod reservation;
mod row;
mod system;
mod task;
mod thread;

use crate::run::Case;
use libipc::objects;
use row::Row;

/// One row after the other.
macro_rules! matrix {
    (calls: $($call:ident)*; $($object:ident: $($operation:ident)*;)*) => {
        &[
            $(Case {
                name: stringify!($call),
                run: |world| Row::of_call(stringify!($call)).fill(world, calls::$call),
            },)*
            $($(Case {
                name: concat!(stringify!($object), "_", stringify!($operation)),
                run: |world| {
                    let (interface, errors) = (
                        &objects::$object::INTERFACE,
                        objects::$object::ERRORS,
                    );
                    Row::of_object(interface, errors, stringify!($operation))
                        .fill(world, $object::$operation)
                },
            },)*)*
        ]
    };
}

// `release_console` is the last: the suite prints by itself then.
pub(crate) const CASES: &[Case] = matrix! {
    calls:
        call proxied_call receive reply reply_receive signal;
    task:
        create_task create_thread create_endpoint create_memory map unmap protect install
        derive delete set_fault_handler kill info thread capability registers history peek
        revoke set_shared start_thread started_thread create_program;
    thread:
        resume suspend cancel set_priority exit yield_now info panic set_core set_passive;
    endpoint:
        mint pause resume close expel info session;
    memory:
        pages read write;
    interrupt:
        bind acknowledge unbind;
    reservation:
        bind unbind change watch info;
    dma:
        pin unpin addresses release_all pins create_contiguous;
    reply:
        keep read write cancelled deadline;
    system:
        shutdown counters read_log write_log bind_log device_memory interrupt
        create_reservation create_dma release_console;
};
