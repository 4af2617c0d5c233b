//! Symbol and interface tables.

use proptest::prelude::*;
use tessera_archive::{Interfaces, Symbols, write_symbols};

#[test]
fn an_address_finds_its_function() {
    let base = 0xffff_ffc0_0000_0000;
    let table = write_symbols([
        (base + 0x40, 0x20, "second"),
        (base, 0x40, "first"),
        (base + 0x100, 0x10, "far::third"),
        (base + 0x100, 0x10, "zzz::alias"),
    ]);
    let symbols = Symbols::new(&table).unwrap();
    assert_eq!(symbols.find(base), Some(("first", 0)));
    assert_eq!(symbols.find(base + 0x3f), Some(("first", 0x3f)));
    assert_eq!(symbols.find(base + 0x41), Some(("second", 1)));
    assert_eq!(symbols.find(base + 0x60), None);
    assert_eq!(symbols.find(base + 0x10f), Some(("far::third", 0xf)));
    assert_eq!(symbols.find(base + 0x110), None);
    assert_eq!(symbols.find(base - 1), None);
    assert_eq!(symbols.find(u64::MAX), None);
}

#[test]
fn an_empty_table_finds_nothing() {
    let table = write_symbols([]);
    assert_eq!(Symbols::new(&table).unwrap().find(0), None);
    assert!(Symbols::new(&table[..15]).is_none());
}

#[test]
fn labels_get_names() {
    let table =
        Interfaces::new(b"0000002a Block 0:capacity 1:read\nffffffff Task 7:map\n").unwrap();
    assert_eq!(table.interface(42), Some("Block"));
    assert_eq!(table.operation(42, 1), Some("read"));
    assert_eq!(table.operation(42, 2), None);
    assert_eq!(table.operation(u32::MAX, 7), Some("map"));
    assert_eq!(table.interface(0), None);
    assert!(Interfaces::new(&[0xff]).is_none());
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(
        data in prop::collection::vec(any::<u8>(), 0..200), address in any::<u64>()
    ) {
        if let Some(symbols) = Symbols::new(&data) {
            let _ = symbols.find(address);
        }
        if let Some(interfaces) = Interfaces::new(&data) {
            let _ = interfaces.operation(address as u32, address as u8);
        }
    }

    #[test]
    fn no_mutated_table_makes_the_reader_panic(
        at in 0usize..60, value in any::<u8>(), address in 0u64..0x300
    ) {
        let mut table = write_symbols([(0x10, 0x10, "one"), (0x40, 0x100, "two")]);
        let length = table.len();
        table[at % length] = value;
        if let Some(symbols) = Symbols::new(&table) {
            let _ = symbols.find(address);
        }
    }
}
