//! Partition tables as they should be, and damaged in every way.

use bytemuck::bytes_of;
use gpt_disk_types::{
    Crc32, GptHeader, GptPartitionEntry, GptPartitionType, LbaLe, MasterBootRecord,
    MbrPartitionRecord, U32Le, guid,
};
use libipc::{
    CallError, Capability, Text,
    fake::{self, Task},
    interfaces::{
        block::{
            BlockAccess, BlockAction, BlockClient, BlockError, BlockRequest, Geometry,
            PartitionKind, SECTOR,
        },
        clients::{ClientArgument, PartitionArgument},
    },
    objects::EndpointClient,
};
use tessera_block::{
    partitions::{Partition, TableError, find, read},
    ram::Ram,
    server::Server,
};

/// Sectors of the disk, and of its table: header and four sectors of entries.
const SECTORS: u64 = 200;
const ENTRIES: u32 = 16;

const KIND: GptPartitionType = GptPartitionType(guid!("0fc63daf-8483-4772-8e79-3d69d8477de4"));

struct Image {
    bytes: Vec<u8>,
    /// Bytes of a block.
    block: u64,
}

impl Image {
    fn new(block: u64) -> Image {
        let bytes = vec![0; SECTORS as usize * SECTOR];
        Image { bytes, block }
    }

    fn put(&mut self, block: u64, bytes: &[u8]) {
        let place = (block * self.block) as usize;
        self.bytes[place..place + bytes.len()].copy_from_slice(bytes);
    }

    fn blocks(&self) -> u64 {
        self.bytes.len() as u64 / self.block
    }

    fn record(&mut self, partitions: [(u8, u32, u32); 4]) {
        let record = MasterBootRecord {
            partitions: partitions.map(|(kind, first, length)| MbrPartitionRecord {
                os_indicator: kind,
                starting_lba: U32Le::from_u32(first),
                size_in_lba: U32Le::from_u32(length),
                ..MbrPartitionRecord::default()
            }),
            signature: [0x55, 0xaa],
            ..MasterBootRecord::default()
        };
        self.put(0, bytes_of(&record));
    }

    /// Both copies, as `change` wants the header before its checksum is made.
    fn gpt(&mut self, entries: &[(&str, u64, u64)], change: impl Fn(&mut GptHeader)) {
        self.record([(0xee, 1, u32::MAX), (0, 0, 0), (0, 0, 0), (0, 0, 0)]);
        let mut table = Vec::new();
        for place in 0..ENTRIES as usize {
            let mut entry = GptPartitionEntry::default();
            if let Some((name, first, last)) = entries.get(place) {
                entry.partition_type_guid = KIND;
                entry.starting_lba = LbaLe::from_u64(*first);
                entry.ending_lba = LbaLe::from_u64(*last);
                entry.name = name.parse().unwrap();
            }
            table.extend_from_slice(bytes_of(&entry));
        }
        let length = (table.len() as u64).div_ceil(self.block);
        let last = self.blocks() - 1;
        for (own, other, entries) in [(1, last, 2), (last, 1, last - length)] {
            self.put(entries, &table);
            let mut header = GptHeader {
                my_lba: LbaLe::from_u64(own),
                alternate_lba: LbaLe::from_u64(other),
                first_usable_lba: LbaLe::from_u64(2 + length),
                last_usable_lba: LbaLe::from_u64(last - length - 1),
                partition_entry_lba: LbaLe::from_u64(entries),
                number_of_partition_entries: U32Le::from_u32(ENTRIES),
                partition_entry_array_crc32: Crc32(U32Le::from_u32(crc(&table))),
                ..GptHeader::default()
            };
            change(&mut header);
            header.update_header_crc32();
            self.put(own, bytes_of(&header));
        }
    }

    fn read(&self) -> Result<Vec<Partition>, TableError> {
        let geometry = Geometry {
            sectors: SECTORS,
            block: self.block,
            ..Geometry::default()
        };
        read(&geometry, |sector, into| {
            let place = sector as usize * SECTOR;
            into.copy_from_slice(&self.bytes[place..place + into.len()]);
            Ok(())
        })
    }
}

/// The checksum of the IEEE's, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ 0xedb8_8320 & (sum & 1).wrapping_neg()
        })
    })
}

fn partition(number: u32, name: &str, first: u64, end: u64) -> Partition {
    Partition {
        number,
        name: name.into(),
        kind: PartitionKind::Linux,
        sectors: first..end,
    }
}

#[test]
fn partitions_are_where_the_table_says() {
    let mut image = Image::new(512);
    image.gpt(&[("system", 10, 19), ("data", 20, 150)], |_| ());
    let found = [
        partition(1, "system", 10, 20),
        partition(2, "data", 20, 151),
    ];
    assert_eq!(image.read(), Ok(found.to_vec()));
    assert_eq!(find(&found, "data"), Some(&found[1]));
    assert_eq!(find(&found, "1"), Some(&found[0]));
    for wrong in ["", "3", "0", "Data", "dat"] {
        assert_eq!(find(&found, wrong), None);
    }
    let twice = [partition(1, "data", 10, 20), partition(2, "data", 20, 30)];
    assert_eq!(find(&twice, "data"), None);
    // Blocks of eight sectors.
    let mut image = Image::new(4096);
    image.gpt(&[("data", 5, 6)], |_| ());
    assert_eq!(image.read(), Ok(vec![partition(1, "data", 40, 56)]));
}

#[test]
fn a_table_whose_first_copy_is_damaged_has_another() {
    let mut image = Image::new(512);
    image.gpt(&[("data", 20, 150)], |_| ());
    let good = image.read();
    for place in [
        512,
        512 + 16,
        512 + 40,
        512 + 91,
        1024,
        1024 + 32,
        1024 + 2047,
    ] {
        image.bytes[place] ^= 0x10;
        assert_eq!(image.read(), good, "{place}");
        // And no third.
        let last = SECTORS as usize * SECTOR - 1;
        for other in [last - 511, last - 511 + 90, last - 512 - 2047] {
            image.bytes[other] ^= 1;
            assert_eq!(image.read(), Err(TableError::Damaged), "{place} {other}");
            image.bytes[other] ^= 1;
        }
        image.bytes[place] ^= 0x10;
    }
}

#[test]
fn tables_that_are_whole_and_wrong_are_damaged() {
    let damaged = Err(TableError::Damaged);
    let bad: [&[(&str, u64, u64)]; 9] = [
        // Over the table, its copy, or past the end; backwards; round the end.
        &[("data", 5, 20)],
        &[("data", 0, 20)],
        &[("data", 20, 195)],
        &[("data", 20, 1 << 40)],
        &[("data", 20, 19)],
        &[("data", 20, u64::MAX)],
        &[("data", 0, u64::MAX)],
        // Over one another, in any order.
        &[("one", 20, 40), ("two", 40, 60)],
        &[("one", 50, 60), ("two", 20, 100)],
    ];
    for entries in bad {
        let mut image = Image::new(512);
        image.gpt(entries, |_| ());
        assert_eq!(image.read(), damaged, "{entries:?}");
    }
    let changes: [fn(&mut GptHeader); 10] = [
        |header| header.number_of_partition_entries = U32Le::from_u32(u32::MAX),
        |header| header.number_of_partition_entries = U32Le::from_u32(0),
        |header| header.size_of_partition_entry = U32Le::from_u32(1 << 31),
        |header| header.size_of_partition_entry = U32Le::from_u32(0),
        |header| header.size_of_partition_entry = U32Le::from_u32(130),
        |header| header.partition_entry_lba = LbaLe::from_u64(u64::MAX),
        |header| header.partition_entry_lba = LbaLe::from_u64(SECTORS - 1),
        |header| header.header_size = U32Le::from_u32(u32::MAX),
        |header| header.my_lba = LbaLe::from_u64(7),
        |header| header.last_usable_lba = LbaLe::from_u64(u64::MAX),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut image = Image::new(512);
        image.gpt(&[("data", 20, 150)], change);
        assert_eq!(image.read(), damaged, "{number}");
    }
}

#[test]
fn four_entries_are_a_table_too() {
    let none = (0, 0, 0);
    let mut image = Image::new(512);
    assert_eq!(image.read(), Err(TableError::None));
    // What holds another table is no partition.
    image.record([(0x83, 20, 30), none, (0x0c, 60, 140), (0x05, 50, 10)]);
    let exchange = Partition {
        kind: PartitionKind::Exchange,
        ..partition(3, "", 60, 200)
    };
    let found = vec![partition(1, "", 20, 50), exchange];
    assert_eq!(image.read(), Ok(found));
    for bad in [
        (0x83, 0, 10),
        (0x83, 20, 0),
        (0x83, 100, 101),
        (0x83, u32::MAX, u32::MAX),
        (0x83, 59, 2),
    ] {
        image.record([bad, none, (0x0c, 60, 10), none]);
        assert_eq!(image.read(), Err(TableError::Damaged), "{bad:?}");
    }
}

#[test]
fn no_disk_makes_the_reader_fail() {
    let mut image = Image::new(512);
    image.gpt(&[("data", 20, 150), ("more", 151, 160)], |_| ());
    let good = image.read();
    for place in (0..4096)
        .step_by(3)
        .chain(SECTORS as usize * SECTOR - 600..)
    {
        let Some(byte) = image.bytes.get(place).copied() else {
            break;
        };
        for other in [byte ^ 1, !byte, 0, 0xff] {
            image.bytes[place] = other;
            // One copy is whole, if the disk is said to have any.
            let read = image.read();
            assert!(read == good || place < 512, "{place}: {read:?}");
        }
        image.bytes[place] = byte;
    }
    for (sectors, block) in [
        (0, 512),
        (4, 512),
        (200, 0),
        (200, 100),
        (200, 1 << 20),
        (39, 4096),
    ] {
        let geometry = Geometry {
            sectors,
            block,
            ..Geometry::default()
        };
        let read = read(&geometry, |_, _| unreachable!());
        assert_eq!(read, Err(TableError::None));
    }
    let geometry = Geometry {
        sectors: SECTORS,
        block: 512,
        ..Geometry::default()
    };
    let read = read(&geometry, |_, _| Err(BlockError::Io));
    assert_eq!(read, Err(TableError::Disk(BlockError::Io)));
}

fn serve(image: Image, restricted: &'static [(u64, &str)]) -> EndpointClient {
    let endpoint = Capability::from(fake::endpoint());
    let handed = endpoint.copy().unwrap();
    Task::new().spawn_with(handed, move |endpoint: EndpointClient| {
        let mut server = Server::new(Ram::with(image.bytes, false)).unwrap();
        let clients = [(3, "data"), (4, "shell")];
        let clients = clients.map(|(badge, name)| ClientArgument { badge, name });
        let restricted: Vec<_> = restricted
            .iter()
            .map(|&(badge, partition)| PartitionArgument { badge, partition })
            .collect();
        server
            .prepare(&endpoint, &clients, &restricted, &[])
            .unwrap()
            .as_ref()
            .ok();
        server.run(&endpoint, None)
    });
    endpoint.into()
}

/// Two partitions, with sectors that hold their own numbers.
fn two() -> Image {
    let mut image = Image::new(512);
    image.gpt(&[("system", 10, 19), ("data", 20, 150)], |_| ());
    for sector in [19, 20, 150, 151] {
        image.put(sector, &[sector as u8; SECTOR]);
    }
    image
}

fn server<T>(error: BlockError) -> Result<T, CallError<BlockError>> {
    Err(CallError::Server(error))
}

#[test]
fn partitions_are_listed() {
    let endpoint = serve(two(), &[(3, "data")]);
    let client = |badge| -> BlockClient { endpoint.mint_client(badge).unwrap() };
    let (data, shell) = (client(3), client(4));
    let entry = |number, first, sectors, kind, name| libipc::interfaces::block::Partition {
        number,
        first,
        sectors,
        kind,
        read_only: false,
        name: Text::new(name).unwrap(),
        user: Text::default(),
    };
    let first = entry(1, 10, 10, PartitionKind::Linux, "system");
    let second = entry(2, 20, 131, PartitionKind::Linux, "data");
    let whole = entry(0, 0, SECTORS, PartitionKind::Whole, "");
    assert_eq!(shell.partition(0), Ok(whole));
    assert_eq!(shell.partition(1), Ok(first));
    assert_eq!(shell.partition(2), Ok(second));
    assert_eq!(shell.partition(3), server(BlockError::NoSuchPartition));
    // Who sees one partition sees no others.
    let own = entry(0, 0, 131, PartitionKind::Whole, "");
    assert_eq!(data.partition(0), Ok(own));
    assert_eq!(data.partition(1), server(BlockError::NoSuchPartition));
    // Who has some of it to himself is told, for the partition and for the disk.
    let held = data.open(0, BlockAccess::Exclusive).unwrap();
    let user = |number| shell.partition(number).unwrap().user.as_str().to_string();
    assert_eq!([user(0), user(1), user(2)], ["data", "", "data"]);
    drop(held);
    assert_eq!([user(0), user(2)], ["", ""]);
}

#[test]
fn a_capability_for_a_partition_allows_what_it_was_made_for() {
    let endpoint = serve(two(), &[]);
    let shell: BlockClient = endpoint.mint_client(4).unwrap();
    let read = shell.open(2, BlockAccess::Read).unwrap();
    let mut bytes = [0; SECTOR];
    read.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [20; SECTOR]);
    assert!(read.geometry().unwrap().read_only);
    assert_eq!(read.write(0, &bytes), server(BlockError::ReadOnly));
    let more = read.open(0, BlockAccess::ReadWrite);
    assert_eq!(more.err(), Some(CallError::Server(BlockError::ReadOnly)));
    let own = read.open(0, BlockAccess::Read).unwrap();
    assert_eq!(own.geometry().unwrap().sectors, 131);
    let none = shell.open(3, BlockAccess::Read);
    assert_eq!(
        none.err(),
        Some(CallError::Server(BlockError::NoSuchPartition))
    );

    let held = shell.open(2, BlockAccess::Exclusive).unwrap();
    assert!(held.geometry().unwrap().exclusive);
    held.write(0, &[1; SECTOR]).unwrap();
    // By whatever way, nobody else writes there; reading is free.
    assert_eq!(shell.write(20, &bytes), server(BlockError::InUse));
    assert_eq!(shell.write(19, &[0; 2 * SECTOR]), server(BlockError::InUse));
    shell.write(19, &bytes).unwrap();
    shell.read(20, &mut bytes).unwrap();
    assert_eq!(bytes, [1; SECTOR]);
    for (number, access) in [
        (0, BlockAccess::ReadWrite),
        (2, BlockAccess::ReadWrite),
        (0, BlockAccess::Exclusive),
    ] {
        let refused = shell.open(number, access).err();
        assert_eq!(refused, Some(CallError::Server(BlockError::InUse)));
    }
    shell.open(1, BlockAccess::ReadWrite).unwrap();
    drop(held);
    shell.write(20, &bytes).unwrap();
}

#[test]
fn of_a_damaged_table_no_partition_is_opened() {
    let mut image = Image::new(512);
    image.gpt(&[("one", 20, 40), ("damaged", 40, 60)], |_| ());
    let endpoint = serve(image, &[]);
    let shell: BlockClient = endpoint.mint_client(4).unwrap();
    assert_eq!(shell.partition(0).unwrap().sectors, SECTORS);
    assert_eq!(shell.partition(1), server(BlockError::DamagedTable));
    let opened = shell.open(1, BlockAccess::Read).err();
    assert_eq!(opened, Some(CallError::Server(BlockError::DamagedTable)));
}

#[test]
fn a_client_sees_its_partition_and_nothing_else() {
    let endpoint = serve(two(), &[(3, "data"), (4, "1"), (5, "home")]);
    let client = |badge| -> BlockClient { endpoint.mint_client(badge).unwrap() };
    let (data, system, none, whole) = (client(3), client(4), client(5), client(6));
    assert_eq!(data.geometry().unwrap().sectors, 131);
    assert_eq!(system.geometry().unwrap().sectors, 10);
    assert_eq!(whole.geometry().unwrap().sectors, SECTORS);
    let mut bytes = [0; SECTOR];
    data.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [20; SECTOR]);
    data.read(130, &mut bytes).unwrap();
    assert_eq!(bytes, [150; SECTOR]);
    for sector in [131, 1 << 40, u64::MAX - 19, u64::MAX] {
        let outside = server(BlockError::OutOfRange);
        assert_eq!(data.read(sector, &mut bytes), outside);
        assert_eq!(data.write(sector, &bytes), outside);
    }
    let mut two = [1; 2 * SECTOR];
    assert_eq!(data.read(130, &mut two), server(BlockError::OutOfRange));
    // In place, one by one and many.
    let own = libipc::task().create_memory(1).unwrap();
    own.write_from(0, &[7; SECTOR]).unwrap();
    let number = system
        .register(own.as_ref().copy().unwrap().into())
        .unwrap();
    system.write_at(9, 1, number, 0).unwrap();
    let outside = server(BlockError::OutOfRange);
    assert_eq!(system.write_at(10, 1, number, 0), outside);
    assert_eq!(system.read_at(9, 2, number, 0), outside);
    system.notify(fake::endpoint(), 1).unwrap();
    let request = BlockRequest {
        tag: 1,
        action: BlockAction::Write,
        sector: 10,
        count: 1,
        memory: number,
        offset: 0,
        more: false,
    };
    assert_eq!(system.submit(request), outside);
    whole.read(19, &mut bytes).unwrap();
    assert_eq!(bytes, [7; SECTOR]);
    data.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [20; SECTOR]);
    // Who was to see what is not there sees nothing.
    let gone = BlockError::NoSuchPartition;
    assert_eq!(none.geometry(), Err(CallError::Server(gone)));
    assert_eq!(none.read(0, &mut bytes), server(gone));
    assert_eq!(none.write(0, &bytes), server(gone));
    assert_eq!(none.flush(), server(gone));
}

#[test]
fn of_a_damaged_table_nobody_sees_anything_but_the_whole() {
    let mut image = Image::new(512);
    image.gpt(&[("one", 20, 40), ("damaged", 40, 60)], |_| ());
    let endpoint = serve(image, &[(3, "damaged")]);
    let client: BlockClient = endpoint.mint_client(3).unwrap();
    let gone = Err(CallError::Server(BlockError::NoSuchPartition));
    assert_eq!(client.flush(), gone);
    let whole: BlockClient = endpoint.mint_client(4).unwrap();
    assert_eq!(whole.geometry().unwrap().sectors, SECTORS);
}
