//! Both sides, and the tools, agree about tables and hashes.

use libipc_expand::{hash, model};
use quote::ToTokens;

/// The interface in a source file, as a tool reads it.
fn read(source: &str) -> model::Interface {
    let file = syn::parse_file(source).expect("the source is Rust");
    let mut found = file.items.into_iter().filter_map(|item| match item {
        syn::Item::Trait(mut item) => {
            item.attrs.clear();
            Some(item)
        }
        _ => None,
    });
    let item = found.next().expect("there is a trait").into_token_stream();
    model::Interface::parse(Default::default(), item).expect("it is an interface")
}

#[test]
fn the_compilers_tokens_and_the_sources_have_one_hash() {
    let sources = [
        (
            include_str!("../../src/interfaces/stream.rs"),
            libipc::interfaces::stream::INTERFACE,
        ),
        (
            include_str!("../../src/interfaces/directory.rs"),
            libipc::interfaces::directory::INTERFACE,
        ),
        (
            include_str!("../../abi/src/objects/task.rs"),
            libipc_abi::objects::task::INTERFACE,
        ),
        (include_str!("notebook.rs"), crate::notebook::INTERFACE),
    ];
    for (source, compiled) in sources {
        let read = read(source);
        assert_eq!(read.name, compiled.name);
        assert_eq!(hash::interface(&read), compiled.hash, "{}", compiled.name);
        let operations = read.operations.iter().zip(compiled.operations);
        for (read, compiled) in operations {
            assert_eq!(hash::operation(read), compiled.hash, "{}", compiled.name);
        }
    }
}

#[test]
fn the_kernels_tables_are_libipcs() {
    use libipc_abi::objects as kernel;
    assert_eq!(kernel::task::INTERFACE, libipc::objects::task::INTERFACE);
    assert_eq!(
        kernel::endpoint::INTERFACE,
        libipc::objects::endpoint::INTERFACE
    );
    assert_eq!(kernel::reply::INTERFACE, libipc::objects::reply::INTERFACE);
    assert_eq!(
        kernel::system::INTERFACE,
        libipc::objects::system::INTERFACE
    );
    assert_eq!(kernel::fault::INTERFACE, libipc::fault::INTERFACE);
}

#[test]
fn a_table_describes_its_operations() {
    let table = crate::notebook::INTERFACE;
    let watch = table.operation(crate::notebook::number::WATCH).unwrap();
    assert_eq!((watch.name, watch.request_capabilities), ("watch", 2));
    let numbers = table.operation(crate::notebook::number::NUMBERS).unwrap();
    assert_eq!((numbers.request_words, numbers.reply_words), (1, 60));
    let open = table.operation(crate::notebook::number::OPEN).unwrap();
    assert_eq!((open.reply_capabilities, open.leases), (1, 0));
    let changed = table.operation(crate::notebook::number::CHANGED).unwrap();
    assert_eq!((changed.deferred, changed.leases), (true, 1));
    assert!(table.operation(6).is_none());
}
